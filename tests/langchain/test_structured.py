"""Structured output: every method, every kind of schema, each candidate in its own way."""

from __future__ import annotations

from typing import Any, TypedDict

import pytest
from langchain_core.exceptions import ModelError
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, ValidationError

from langchain_taskrouter._structured import METHODS
from taskrouter import ConfigurationError
from taskrouter.simulator import RunningServer
from taskrouter.state.opening import open_store

from .conftest import ModelOf, Routed, Runs


class Place(BaseModel):
    """A place."""

    city: str
    country: str


class PlaceDict(TypedDict):
    """A place."""

    city: str
    country: str


SCHEMAS: dict[str, Any] = {"class": Place, "typed dict": PlaceDict, "JSON Schema": Place.model_json_schema()}
QUESTION = "Where is the Eiffel tower?"


@pytest.mark.parametrize("kind", SCHEMAS)
@pytest.mark.parametrize("method", [None, "function_calling", "json_schema"])
async def test_every_method_reads_every_kind_of_schema_in_all_four_ways(
    routed: Routed, method: str | None, kind: str
) -> None:
    model = routed().with_structured_output(SCHEMAS[kind], method=method)
    # Parts of a pydantic answer are streamed by a class that warns of what LangChain puts into it.
    answers = [model.invoke(QUESTION), await model.ainvoke(QUESTION)]
    if kind != "class":
        answers += [list(model.stream(QUESTION))[-1], [chunk async for chunk in model.astream(QUESTION)][-1]]
    expected = Place if kind == "class" else dict
    assert all(isinstance(answer, expected) for answer in answers)
    assert all(set(dict(answer)) == {"city", "country"} for answer in answers)


def test_without_a_method_each_candidate_is_asked_in_its_own_default_way(routed: Routed, model_of: ModelOf) -> None:
    class ByTools(ChatOpenAI):
        def with_structured_output(self, schema: Any = None, **kwargs: Any) -> Any:
            return super().with_structured_output(schema, **{**kwargs, "method": "function_calling"})

    by_tools = ByTools(**model_of("second").model_dump(include={"model_name", "openai_api_base", "openai_api_key"}))
    model = routed(candidates={"first": model_of("first"), "second": by_tools})
    wanted = model.with_structured_output(Place)
    bound: Any = wanted.first  # type: ignore[attr-defined]
    spec = bound.kwargs["taskrouter_schema"]
    first, second = (spec.bound(candidate) for candidate in model._pool.values())
    assert set(first) >= {"response_format"}
    assert set(second) >= {"tools", "tool_choice"}
    assert isinstance(wanted.invoke(QUESTION), Place)
    assert isinstance(model.for_node("x").with_structured_output(Place).invoke(QUESTION), Place)


def test_an_answer_that_breaks_the_schema_falls_back(routed: Routed, server: RunningServer) -> None:
    server.script("first", "invalid_tool_call")
    raw = routed().with_structured_output(Place, method="function_calling", include_raw=True).invoke(QUESTION)
    assert isinstance(raw["parsed"], Place)
    assert raw["parsing_error"] is None
    assert raw["raw"].response_metadata["taskrouter"]["model"] == "second"


def test_json_mode_without_a_schema_gives_what_there_is(routed: Routed) -> None:
    assert isinstance(routed().with_structured_output(None, method="json_mode").invoke("Say it in JSON."), dict)


def test_json_mode_that_does_not_follow_the_schema_is_a_failed_attempt(routed: Routed) -> None:
    with pytest.raises(ModelError, match="all 2 attempts failed"):
        routed().with_structured_output(Place, method="json_mode").invoke("Say it in JSON.")


def test_a_bare_json_schema_needs_no_title(routed: Routed) -> None:
    bare = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    answer: Any = routed().with_structured_output(bare).invoke(QUESTION)
    assert set(answer) == {"city"}


def test_candidates_that_cannot_be_asked_take_no_such_step(routed: Routed, model_of: ModelOf) -> None:
    plain = FakeListChatModel(responses=["no"])
    model = routed(candidates={"first": plain, "second": model_of("second")}, config=None)
    assert isinstance(model.with_structured_output(Place).invoke(QUESTION), Place)


@pytest.mark.parametrize(
    ("schema", "options", "said"),
    [
        (3, {}, "a int is no schema"),
        (None, {}, "schema is missing"),
        ({"title": "x", "type": "object", "properties": 3}, {}, "this is no schema"),
        (Place, {"method": "magic"}, "known methods: function_calling, json_schema, json_mode"),
    ],
)
def test_what_is_no_schema_is_refused_before_any_request(
    routed: Routed, server: RunningServer, schema: Any, options: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        routed().with_structured_output(schema, **options)
    assert server.requests == []


def test_when_no_candidate_can_be_asked_each_one_s_reason_is_said(routed: Routed) -> None:
    plain = {name: FakeListChatModel(responses=["no"]) for name in ("first", "second")}
    with pytest.raises(ConfigurationError, match=r"no candidate can be asked for it: 'first': .*; 'second': "):
        routed(candidates=plain, config=None).with_structured_output(Place)


def test_callbacks_see_one_run_and_what_shape_was_asked_for(routed: Routed, runs: Runs) -> None:
    model = routed().with_structured_output(Place, method="json_schema")
    model.invoke(QUESTION, {"callbacks": [runs]})
    assert len(runs.started) == len(runs.ended) == 1


class Picky(BaseModel):
    """A place that no model can name."""

    city: str

    def model_post_init(self, _: Any) -> None:
        raise ValueError("never right")


@pytest.mark.parametrize("include_raw", [True, False])
def test_an_answer_that_cannot_be_read_counts_against_its_step(
    routed: Routed, tmp_path: Any, include_raw: bool
) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    model = routed(config={"state": {"url": url}})
    picky = model.with_structured_output(Picky, method="function_calling", include_raw=include_raw)
    if include_raw:
        assert isinstance(picky.invoke(QUESTION)["parsing_error"], ValidationError)
    else:
        with pytest.raises(ValidationError):
            picky.invoke(QUESTION)
    model.router.close()
    store = open_store(url)
    said = [record.text for record in store.read("feedback")]
    store.close()
    assert len(said) == 1
    assert '"source": "parser_error"' in said[0]


def test_the_cache_tells_shapes_and_methods_apart(routed: Routed) -> None:
    model = routed()
    keys = {
        str(sorted((name, str(value)) for name, value in bound.kwargs.items() if not name.startswith("taskrouter")))
        for method in (None, *METHODS)
        for schema in (Place, Picky)
        for bound in [model.with_structured_output(schema, method=method).first]  # type: ignore[attr-defined]
    }
    assert len(keys) == 8
