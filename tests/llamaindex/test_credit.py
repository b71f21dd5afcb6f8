"""What LlamaIndex tells of answers: a component that raises after a step counts against it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.callbacks import TokenCountingHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import QueryBundle
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import ToolMetadata
from llama_index_instrumentation import get_dispatcher

from llama_index.llms.taskrouter import RoutedLLM

from .conftest import CLAUDE, FIRST, Bench, managed, said

CHOICES = [ToolMetadata("about boats", name="boats"), ToolMetadata("about trains", name="trains")]
span = get_dispatcher(__name__).span


class Blamed:
    """Collects what is fed back."""

    def __init__(self, llm: RoutedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[tuple[str, float, str]] = []
        monkeypatch.setattr(llm.router, "feedback", self._keep)

    def _keep(self, decision_id: str, score: float, *, source: str) -> None:
        self.said.append((decision_id, score, source))


def test_a_selector_that_cannot_read_an_answer_counts_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = bench.routed()
    blamed = Blamed(llm, monkeypatch)

    @span
    def outer() -> None:
        LLMSingleSelector.from_defaults(llm=llm).select(CHOICES, "boats?")

    with pytest.raises(ValueError):  # noqa: PT011 - LlamaIndex's own
        outer()
    assert blamed.said == [(bench.outcome.decision_id, 0.0, "node_error")]


async def test_so_does_one_that_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = bench.routed()
    blamed = Blamed(llm, monkeypatch)
    with pytest.raises(ValueError):  # noqa: PT011 - LlamaIndex's own
        await LLMSingleSelector.from_defaults(llm=llm).aselect(CHOICES, QueryBundle("boats?"))
    assert blamed.said == [(bench.outcome.decision_id, 0.0, "node_error")]


@pytest.mark.parametrize(
    "error", [ConnectionError("gone"), TimeoutError(), asyncio.CancelledError(), KeyboardInterrupt(), OSError("disk")]
)
def test_the_network_and_interruptions_do_not_count(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    llm = bench.routed()
    blamed = Blamed(llm, monkeypatch)

    @span
    def component() -> None:
        llm.chat(said("Hello"))
        raise error

    with pytest.raises(type(error)):
        component()
    assert blamed.said == []


def test_a_failure_of_the_call_itself_does_not_count(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = bench.both()
    blamed = Blamed(llm, monkeypatch)

    @span
    def component() -> None:
        llm.chat(said("Hello"))
        for model in (FIRST, CLAUDE):
            bench.vendors.fail(model, "unavailable")
        llm.chat(said("Hello"))

    with pytest.raises(Exception, match="attempts failed"):
        component()
    assert blamed.said == []


def test_a_token_budget_does_not_count(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = bench.routed()
    blamed = Blamed(llm, monkeypatch)

    @span
    def component() -> None:
        llm.chat(said("Hello"))
        llm.callback_manager = managed(TokenCountingHandler(tokenizer=str.split, token_budget=1))
        llm.chat(said("Hello"))

    with pytest.raises(ValueError, match=r"[Bb]udget"):
        component()
    assert blamed.said == []


def test_the_last_step_within_the_component_counts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = bench.routed()
    blamed = Blamed(llm, monkeypatch)
    decided: list[str] = []

    @span
    def inner() -> None:
        llm.predict(PromptTemplate("Hello"))
        decided.append(bench.outcome.decision_id)

    @span
    def outer() -> None:
        llm.chat(said("Hello"))
        inner()
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        outer()
    assert blamed.said == [(decided[0], 0.0, "node_error")]


@pytest.mark.parametrize("way", ["stream_chat", "structured"])
def test_steps_of_every_kind_count(bench: Bench, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    from pydantic import BaseModel

    class City(BaseModel):
        name: str

    llm = bench.routed()
    blamed = Blamed(llm, monkeypatch)

    @span
    def component() -> None:
        if way == "stream_chat":
            list(llm.stream_chat(said("Hello")))
        else:
            llm.structured_predict(City, PromptTemplate("'Paris'"))
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        component()
    assert blamed.said == [(bench.outcome.decision_id, 0.0, "node_error")]


def test_credit_may_be_switched_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = bench.routed(fields={"credit": False})
    blamed = Blamed(llm, monkeypatch)

    @span
    def component() -> Any:
        llm.chat(said("Hello"))
        raise KeyError("no such thing")

    with pytest.raises(KeyError):
        component()
    assert blamed.said == []
