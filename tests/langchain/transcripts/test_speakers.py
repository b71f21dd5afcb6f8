"""Who speaks: candidates as transcripts see them, and whose an answer is."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import SecretStr
from tests.langchain.transcripts.people import POOL, said

from langchain_taskrouter._candidates import candidates_of
from langchain_taskrouter.transcripts import Speaker, Standing, speaker_of, speakers_of, spoken_by, standing

ANY = SecretStr("any")


def speaker(model: Any, **options: Any) -> Speaker:
    (candidate,) = candidates_of({"it": model}, 60.0).values()
    return speaker_of(candidate, options)


def claude(**fields: Any) -> ChatAnthropic:
    return ChatAnthropic(**{"model": "claude-sonnet-4-5", "api_key": ANY, **fields})


def gpt(**fields: Any) -> ChatOpenAI:
    return ChatOpenAI(**{"model": "gpt-5", "api_key": ANY, **fields})


def test_a_candidate_is_read_from_its_model() -> None:
    it = speaker(claude())
    assert (it.vendor, it.names, it.home) == ("anthropic", frozenset({"claude-sonnet-4-5"}), "ChatAnthropic")
    assert (it.thinks, it.responses_api, it.remembers, it.systems) == (False, False, False, False)
    it = speaker(gpt(base_url="https://key@llm.example/v1"))
    assert (it.vendor, it.home, it.systems) == ("openai", "ChatOpenAI@llm.example", True)


def test_azure_is_another_home_than_openai() -> None:
    azure = AzureChatOpenAI(azure_endpoint="https://a.example", azure_deployment="d", api_version="1", api_key=ANY)
    it = speaker(azure)
    assert (it.vendor, it.home) == ("openai", "AzureChatOpenAI@a.example")
    assert "d" in it.names


def test_a_users_own_class_is_at_home_where_its_vendors_class_is() -> None:
    class Ours(ChatOpenAI):
        pass

    assert speaker(Ours(model="gpt-5", api_key=ANY)).home == speaker(gpt()).home


@pytest.mark.parametrize(
    ("model", "options", "thinks"),
    [
        (claude(thinking={"type": "enabled", "budget_tokens": 1024}), {}, True),
        (claude(thinking={"type": "adaptive"}), {}, False),
        (claude(), {"thinking": {"type": "enabled", "budget_tokens": 1024}}, True),
        (claude().bind(thinking={"type": "enabled", "budget_tokens": 1024}), {}, True),
        (gpt(extra_body={"thinking": {"type": "enabled"}}), {}, True),
        (gpt(reasoning_effort="high"), {}, False),
    ],
    ids=["field", "adaptive", "option", "bound", "extra_body", "openai"],
)
def test_thinking_that_insists_is_seen_wherever_it_is_asked_for(model: Any, options: Any, *, thinks: bool) -> None:
    assert speaker(model, **options).thinks is thinks


@pytest.mark.parametrize(
    ("model", "options", "responses"),
    [
        (gpt(), {}, False),
        (gpt(use_responses_api=True), {}, True),
        (gpt(output_version="responses/v1"), {}, True),
        (gpt(), {"reasoning": {"effort": "low"}}, True),
    ],
    ids=["chat", "asked", "version", "option"],
)
def test_the_api_is_the_one_that_the_model_will_call(model: Any, options: Any, *, responses: bool) -> None:
    assert speaker(model, **options).responses_api is responses


def test_options_that_do_not_matter_cost_nothing() -> None:
    pool = candidates_of({"claude": claude(), "gpt": gpt()}, 60.0)
    known = speakers_of(pool)
    assert speakers_of(pool, {"temperature": 0.0}, known) is known
    assert speakers_of(pool, {"previous_response_id": "resp_1"}, known)["gpt"].remembers


@pytest.mark.parametrize(
    ("facts", "giver"),
    [
        ({"taskrouter": {"model": "opus"}, "model_name": "claude-haiku-4-5"}, "opus"),
        ({"taskrouter": {"model": "gone"}, "model_name": "claude-haiku-4-5"}, "haiku"),
        ({"model_name": "claude-haiku-4-5-20251001", "model_provider": "anthropic"}, "haiku"),
        ({"model_name": "gpt-5-2025-08-07"}, "gpt"),
        ({"model": "gpt-5-mini", "model_provider": "openai"}, "mini"),
        ({"model_name": "gpt-5", "model_provider": "anthropic"}, None),
        ({"model_name": "somebody"}, None),
        ({}, None),
    ],
    ids=["account", "gone", "dated", "dated-openai", "model", "contradicts", "unknown", "nothing"],
)
def test_an_answer_is_whose_its_metadata_say(facts: dict[str, Any], giver: str | None) -> None:
    assert spoken_by(AIMessage("Hi.", response_metadata=facts), POOL) == giver


def test_a_name_that_two_homes_have_tells_nobody() -> None:
    pool = {**POOL, "azure": Speaker("azure", "openai", frozenset({"gpt-5"}), "AzureChatOpenAI")}
    answer = AIMessage("Hi.", response_metadata={"model_name": "gpt-5"})
    assert spoken_by(answer, pool) is None
    assert spoken_by(answer, POOL) == "gpt"


def test_two_candidates_of_one_model_are_one_model() -> None:
    quick = Speaker("quick", "openai", frozenset({"gpt-5"}), "ChatOpenAI", responses_api=True)
    chat = Speaker("chat", "openai", frozenset({"gpt-5"}), "ChatOpenAI")
    away = Speaker("away", "openai", frozenset({"gpt-5"}), "ChatOpenAI@llm.example", responses_api=True)
    pool = {**POOL, "quick": quick, "chat": chat, "away": away}
    answer = said("gpt", "Hi.")
    assert standing(quick, answer, pool) is Standing.SAME_MODEL
    assert standing(chat, answer, pool) is Standing.SAME_VENDOR
    assert standing(away, answer, pool) is Standing.OTHER


@pytest.mark.parametrize(
    ("block", "vendor"),
    [
        ({"type": "thinking", "thinking": "so", "signature": "c2ln"}, "anthropic"),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "so"}]}, "mistralai"),
        ({"type": "reasoning", "summary": [], "id": "rs_1"}, "openai"),
        ({"type": "web_search_call", "id": "ws_1"}, "openai"),
        ({"type": "executable_code", "executable_code": "1"}, "google_genai"),
        ({"type": "reasoning", "reasoning": "so"}, None),
        ({"type": "hologram"}, None),
        ({"type": "text", "text": "Hi."}, None),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_an_answer_from_before_the_router_belongs_to_whose_blocks_it_has(block: Any, vendor: str | None) -> None:
    answer = said(None, [block])
    same = {s.vendor for s in POOL.values() if standing(s, answer, POOL) is Standing.SAME_MODEL}
    assert same == ({vendor} if vendor else set())


@pytest.mark.parametrize("key", ["__openai_function_call_ids__", "tool_outputs"])
def test_an_answer_from_before_the_router_belongs_to_whose_fields_it_has(key: str) -> None:
    answer = said(None, "Hi.", additional_kwargs={key: {"call_1": "fc_1"}})
    assert standing(POOL["gpt"], answer, POOL) is Standing.SAME_MODEL
    assert standing(POOL["opus"], answer, POOL) is Standing.OTHER


def test_an_answer_of_a_model_that_left_the_pool_is_its_vendors() -> None:
    gone = {"model_name": "claude-2", "model_provider": "anthropic"}
    assert standing(POOL["opus"], said(None, "Hi.", response_metadata=gone), POOL) is Standing.SAME_VENDOR
    assert standing(POOL["gpt"], said(None, "Hi.", response_metadata=gone), POOL) is Standing.OTHER
    unnamed = {"model_provider": "anthropic"}
    assert standing(POOL["opus"], said(None, "Hi.", response_metadata=unnamed), POOL) is Standing.SAME_MODEL
