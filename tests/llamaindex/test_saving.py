"""Saving, pickling and copying a routed LLM: no secret leaves, and what comes back works."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core.extractors import TitleExtractor
from llama_index.core.llms import MockLLM
from llama_index.core.prompts import PromptTemplate
from tests.standins.brain import GREETING

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter import ConfigurationError, Router

from .conftest import CLAUDE, FACTS, FIRST, Bench, ask, run, said

CANARY = "canary-0123456789"
KEPT: dict[str, Any] = {
    "config": {"execution": {"retries": 0}, "models": [{"id": "chatty", "tags": ["fast"]}]},
    "policy": "balanced",
}


@pytest.fixture
def llm(bench: Bench) -> RoutedLLM:
    return RoutedLLM(
        {"chatty": bench.openai(api_key=CANARY), "quiet": bench.claude(api_key=CANARY)}, "chatty", **KEPT, window="max"
    )


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", CANARY)


SECRETS: dict[str, dict[str, Any]] = {
    "api_key": {"api_key": CANARY},
    "default_headers": {"default_headers": {"X-Api-Key": CANARY, "Authorization": f"Bearer {CANARY}", "X-Any": CANARY}},
    "additional_kwargs": {
        "additional_kwargs": {
            "extra_headers": {"x-some": CANARY},
            "extra_body": {"accessToken": CANARY, "client_secret": CANARY, "auth": CANARY, "api-keys": [CANARY]},
            "api_key": CANARY,
            "input_key": CANARY,
            "anything": f"Bearer {CANARY}",
        }
    },
    "api_base": {"api_base": f"https://user:{CANARY}@models.example/v1"},
}


@pytest.mark.parametrize("field", SECRETS)
def test_no_secret_of_openai_s_is_in_what_is_saved(bench: Bench, field: str) -> None:
    llm = RoutedLLM({"chatty": bench.openai(**SECRETS[field])})
    assert CANARY not in saved(llm)


def test_no_secret_of_anthropic_s_is_in_what_is_saved(bench: Bench) -> None:
    servers = [{"type": "url", "url": "https://tools.example", "name": "tools", "authorization_token": CANARY}]
    model = bench.claude(api_key=CANARY, default_headers={"x-any": CANARY}, mcp_servers=servers)
    text = saved(RoutedLLM({"quiet": model}))
    assert CANARY not in text
    assert "https://tools.example" in text


def saved(llm: RoutedLLM) -> str:
    texts = [str(llm.to_dict()), llm.to_json(), str(llm.model_dump()), llm.model_dump_json(), str(llm.to_payload())]
    return "".join([*texts, repr(llm), str(llm), str(TitleExtractor(llm=llm).to_dict())])


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("way", ["chat", "astream_chat"])
def test_what_was_saved_is_made_again_with_keys_of_the_environment(bench: Bench, llm: RoutedLLM, way: str) -> None:
    data = json.loads(llm.to_json())
    assert data["candidates"]["chatty"]["arguments"]["api_key"] == {"env": "MY_API_KEY"}
    again = RoutedLLM.from_dict(data)
    assert (again.incumbent, again.window, again.policy) == ("chatty", "max", llm.policy)
    assert again.router.models["chatty"].tags == {"fast"}
    assert again.to_dict() == llm.to_dict()
    for model in ("chatty", "quiet"):
        assert run(lambda: ask(again, way, model=model)).additional_kwargs["taskrouter"]["model"] == model  # noqa: B023 - run at once
    assert bench.asked == [FIRST, CLAUDE]


@pytest.mark.usefixtures("keyed")
def test_a_variable_that_is_not_set_is_named(llm: RoutedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    data = llm.to_dict()
    monkeypatch.delenv("MY_API_KEY")
    with pytest.raises(ConfigurationError, match="'MY_API_KEY' is not set"):
        RoutedLLM.from_dict(data)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("os.path.join", "is no LLM"),
        ("subprocess.Popen", "is no LLM"),
        ("taskrouter_elsewhere.models.Model", "is outside of llama_index.llms"),
        ("llama_index.llms.openai.base.Nothing", "there is no class"),
        ("llama_index.llms.nowhere.base.Model", "there is no class"),
        ("", "is outside of llama_index.llms"),
    ],
)
def test_only_classes_of_llms_are_made(path: str, message: str) -> None:
    data = {"candidates": {"x": {"class": path, "arguments": {}}}}
    with pytest.raises(ConfigurationError, match=message):
        RoutedLLM.from_dict(data)


def test_a_class_of_one_s_own_is_found_where_it_is_imported() -> None:
    llm = RoutedLLM({"mock": MockLLM(max_tokens=3)})
    assert RoutedLLM.from_dict(llm.to_dict()).complete("one two three four").text == "text text text"


def test_a_class_that_nobody_else_can_import_is_refused() -> None:
    class Local(MockLLM):
        """Within a function."""

    with pytest.raises(ConfigurationError, match="no other process can import"):
        pickle.dumps(RoutedLLM({"local": Local(max_tokens=None)}))


def test_strings_and_tables_are_saved_as_they_were_given() -> None:
    table = {"id": "table", "model": "openai/gpt-4o-mini", "base_url": "http://127.0.0.1:1/v1", "api_key": "env:MY_KEY"}
    llm = RoutedLLM({"string": "openai/gpt-4o", "table": table}, "string")
    again = RoutedLLM.from_dict(json.loads(llm.to_json()))
    assert again.to_dict() == llm.to_dict()
    assert again.to_dict()["candidates"] == {"string": "openai/gpt-4o", "table": table}


@pytest.mark.parametrize("way", ["chat", "achat", "stream_chat", "astream_chat"])
def test_an_unpickled_llm_works(bench: Bench, llm: RoutedLLM, way: str) -> None:
    again = pickle.loads(pickle.dumps(llm))  # noqa: S301 - our own bytes
    assert again.router is not llm.router
    for model in ("chatty", "quiet"):
        assert run(lambda: ask(again, way, model=model)).additional_kwargs["taskrouter"]["model"] == model  # noqa: B023 - run at once
    with ThreadPoolExecutor(4) as pool:
        assert [answer.message.content for answer in pool.map(again.chat, [said("Hello")] * 8)] == [GREETING] * 8


def test_the_keys_of_an_unpickled_llm_are_the_same(llm: RoutedLLM) -> None:
    again = pickle.loads(pickle.dumps(llm))  # noqa: S301 - our own bytes
    assert again.candidates["chatty"].api_key == CANARY
    assert again.candidates["quiet"]._client.api_key == CANARY


def test_a_shared_router_cannot_be_pickled_and_is_wanted_again(bench: Bench) -> None:
    llm = bench.both()
    with pytest.raises(TypeError, match="shared router"):
        pickle.dumps(llm)
    data = llm.to_dict()
    with pytest.raises(ConfigurationError, match="give `router=` to from_dict"):
        RoutedLLM.from_dict(data)
    router = Router([{"id": name, **FACTS} for name in ("chatty", "quiet")], "chatty")
    assert RoutedLLM.from_dict(data, router=router).router is router


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, RoutedLLM.model_copy, lambda it: it.for_node("planner")])
async def test_copies_share_candidates_and_router(bench: Bench, copied: Any) -> None:
    llm = bench.both(budget={"run": {"steps": 2}})
    other = copied(llm)
    assert other.router is llm.router
    for each in (llm, other):
        assert (await ask(each, "achat", taskrouter={"run_id": "one"})).message.content == GREETING
    with pytest.raises(Exception, match="steps"):
        await ask(other, "chat", taskrouter={"run_id": "one"})


def test_components_that_hold_it_may_be_copied(bench: Bench) -> None:
    llm = bench.both()
    extractor = copy.deepcopy(TitleExtractor(llm=llm))
    assert extractor.llm.predict(PromptTemplate("Hello")) == GREETING


def test_what_is_saved_of_a_view_says_so(bench: Bench) -> None:
    view = RoutedLLM({"chatty": bench.openai()}).for_node("planner", task="planning")
    data = view.to_dict()
    assert data["declared"] == {"node": "planner", "task": "planning"}
    assert RoutedLLM.from_dict(data).declared == view.declared
    assert pickle.loads(pickle.dumps(view)).declared == view.declared  # noqa: S301 - our own bytes


def test_models_that_a_user_keeps_are_not_touched(bench: Bench) -> None:
    model = bench.openai(max_retries=7)
    before = model.to_dict(), model._client
    llm = RoutedLLM({"chatty": model})
    llm.chat(said("Hello"))
    llm.to_dict()
    assert (model.to_dict(), model._client) == before
