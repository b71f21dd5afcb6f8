"""Structured prediction: each candidate is asked in its own way, and the object is the same."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.openai import OpenAIResponses
from pydantic import BaseModel
from tests.standins.brain import words

from llama_index.llms.taskrouter import RoutedLLM
from taskrouter.errors import ExecutionError

from .conftest import CLAUDE, FIRST, SECOND, Bench

PREDICTIONS = ("structured_predict", "astructured_predict")
STREAMS = ("stream_structured_predict", "astream_structured_predict")


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


PROMPT = PromptTemplate("It is {degrees} degrees in 'Paris'. What is the weather?")
PARIS = Weather(city="Paris", degrees=21)


class Texter(CustomLLM):
    """A model that only completes, and says what it is made to say."""

    says: str = PARIS.model_dump_json()

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="texter")

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.says)

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        for end in range(1, len(self.says) + 1):
            yield CompletionResponse(text=self.says[:end], delta=self.says[end - 1])


async def predict(llm: Any, way: str, prompt: Any = PROMPT, **kwargs: Any) -> Any:
    """Ask in one of the four ways; of a stream return the last object."""
    asked = {"degrees": 21} if prompt is PROMPT else {}
    found = getattr(llm, way)(Weather, prompt, **kwargs, **asked)
    if way.startswith("a"):
        found = await found
    if way.startswith("astream"):
        return [part async for part in found][-1]
    return list(found)[-1] if way.startswith("stream") else found


@pytest.mark.parametrize("way", [*PREDICTIONS, *STREAMS])
async def test_openai_is_asked_by_a_schema(bench: Bench, way: str) -> None:
    assert await predict(bench.routed(), way) == PARIS
    assert bench.last.body["response_format"]["type"] == "json_schema"
    assert "tools" not in bench.last.body


@pytest.mark.parametrize("way", PREDICTIONS)
async def test_an_older_model_of_openai_is_asked_by_a_tool(bench: Bench, way: str) -> None:
    llm = bench.routed({"old": bench.openai("gpt-3.5-turbo")})
    assert await predict(llm, way) == PARIS
    assert bench.last.body["tool_choice"] == "required"
    assert bench.last.body["tools"][0]["function"]["name"] == "Weather"


@pytest.mark.parametrize("way", [*PREDICTIONS, *STREAMS])
async def test_anthropic_is_asked_in_its_own_way(bench: Bench, way: str) -> None:
    assert await predict(bench.routed({"quiet": bench.claude()}), way) == PARIS
    assert "output_format" in bench.last.body or "output_config" in bench.last.body
    assert "tools" not in bench.last.body


@pytest.mark.parametrize("way", PREDICTIONS)
async def test_openai_s_responses_are_asked_too(bench: Bench, way: str) -> None:
    steady = OpenAIResponses(model=SECOND, api_base=bench.vendors.openai_url, api_key="any")
    assert await predict(bench.routed({"steady": steady}), way) == PARIS
    assert bench.last.path == "/v1/responses"


@pytest.mark.parametrize("way", [*PREDICTIONS, "stream_structured_predict"])
async def test_a_model_without_either_is_asked_by_text(way: str) -> None:
    llm = RoutedLLM({"text": Texter()}, config={"models": [{"id": "text", "capabilities": {"tools": True}}]})
    assert await predict(llm, way) == PARIS


@pytest.mark.parametrize("way", [*PREDICTIONS, *STREAMS])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_whoever_stands_in_gives_the_same(bench: Bench, way: str, incumbent: str) -> None:
    dead, alive = (FIRST, CLAUDE) if incumbent == "chatty" else (CLAUDE, FIRST)
    bench.vendors.fail(dead, "unavailable")
    assert await predict(bench.both(incumbent=incumbent), way) == PARIS
    assert bench.asked == [dead, alive]
    assert bench.outcome.status == "fallback"


@pytest.mark.parametrize("way", [*PREDICTIONS, *STREAMS])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
async def test_tokens_reach_the_outcome(bench: Bench, way: str, incumbent: str) -> None:
    await predict(bench.both(incumbent=incumbent), way)
    usage = bench.outcome.usage
    assert not usage.estimated
    assert usage.output_tokens == words(PARIS.model_dump_json()) or usage.output_tokens > 1


@pytest.mark.parametrize("way", PREDICTIONS)
@pytest.mark.parametrize("model", ["chatty", "old", "quiet"])
async def test_a_system_prompt_is_said_once(bench: Bench, way: str, model: str) -> None:
    candidates = {
        "chatty": bench.openai(system_prompt="Be brief."),
        "old": bench.openai("gpt-3.5-turbo", system_prompt="Be brief."),
        "quiet": bench.claude(system_prompt="Be brief."),
    }
    await predict(bench.routed(candidates, incumbent=model), way)
    assert str(bench.last.body).count("Be brief.") == 1
    assert candidates["chatty"].system_prompt == "Be brief."


@pytest.mark.parametrize("way", [*PREDICTIONS, *STREAMS])
@pytest.mark.parametrize("incumbent", ["chatty", "quiet"])
@pytest.mark.parametrize("text", ["It is 21 degrees in 'Paris' {not_a_variable} {{x}} {", "{\"city\": 1} 21 'Paris'"])
async def test_braces_are_the_user_s(bench: Bench, way: str, incumbent: str, text: str) -> None:
    prompt = ChatPromptTemplate(message_templates=[ChatMessage("{text}", role="user")])
    assert (await predict(bench.both(incumbent=incumbent), way, prompt, text=text)).city == "Paris"
    content = bench.last.body["messages"][-1]["content"]
    assert (content if isinstance(content, str) else content[0]["text"]) == text


@pytest.mark.parametrize("way", [*PREDICTIONS, *STREAMS])
async def test_the_caller_s_arguments_are_not_changed(bench: Bench, way: str) -> None:
    given = {"temperature": 0.5, "taskrouter": {"node": "reader"}}
    before = deepcopy(given)
    bench.vendors.fail(FIRST, "unavailable")
    await predict(bench.both(), way, llm_kwargs=given)
    assert [request.body["temperature"] for request in bench.vendors.received] == [0.5, 0.5]
    assert bench.context.node == "reader"
    assert given == before


@pytest.mark.parametrize("way", PREDICTIONS)
async def test_a_prediction_may_name_its_candidate(bench: Bench, way: str) -> None:
    await predict(bench.routed(), way, llm_kwargs={"model": "second"})
    assert bench.asked == [SECOND]


@pytest.mark.parametrize("way", [*PREDICTIONS, *STREAMS])
async def test_nobody_that_makes_an_object_is_an_error(bench: Bench, way: str) -> None:
    for model in (FIRST, CLAUDE):
        bench.vendors.fail(model, "misshapen")
    with pytest.raises(ExecutionError):
        await predict(bench.both(), way)


@pytest.mark.parametrize("way", PREDICTIONS)
async def test_what_cannot_be_read_as_text_falls_back(bench: Bench, way: str) -> None:
    llm = RoutedLLM(
        {"text": Texter(says="no object"), "chatty": bench.openai()},
        "text",
        config={"models": [{"id": "text", "capabilities": {"tools": True}}], "execution": {"retries": 0}},
    )
    assert await predict(llm, way) == PARIS
    assert bench.asked == [FIRST]


@pytest.mark.parametrize("way", PREDICTIONS)
async def test_the_mode_of_programs_is_the_routed_llm_s(bench: Bench, way: str) -> None:
    llm = bench.routed(fields={"pydantic_program_mode": PydanticProgramMode.FUNCTION})
    assert await predict(llm, way) == PARIS
    assert bench.last.body["tools"][0]["function"]["name"] == "Weather"
    llm.pydantic_program_mode = PydanticProgramMode.DEFAULT
    assert await predict(llm, way) == PARIS
    assert "tools" not in bench.last.body
