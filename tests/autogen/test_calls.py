"""Whole answers: who gives them, what is handed on, and what is told of them."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, SystemMessage, UserMessage
from autogen_core.tools import FunctionTool
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient
from pydantic import BaseModel
from tests.autogen.models import ANTHROPIC, OPENAI, anthropic, info, openai
from tests.standins import Vendors

from autogen_taskrouter import RoutedChatCompletionClient, RoutedCreateResult
from taskrouter.errors import (
    AllAttemptsFailedError,
    BadAnswer,
    BudgetExceededError,
    ConfigurationError,
    LocalFailure,
    NoEligibleModelError,
)

from .conftest import GREETING, QUESTION, Routed, asked, get_weather, streamed

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


class City(BaseModel):
    """A city."""

    city: str


SCHEMA = City.model_json_schema()


async def answer(
    client: RoutedChatCompletionClient, messages: Any = (QUESTION,), *, stream: bool, **options: Any
) -> RoutedCreateResult:
    """Return an answer, or what a stream ends with."""
    if not stream:
        return await client.create(messages, **options)
    result = (await streamed(client, messages, **options))[-1]
    assert isinstance(result, RoutedCreateResult)
    return result


async def test_an_answer_is_the_candidates_with_an_account_beside_it(routed: Routed) -> None:
    result = await routed().create([QUESTION])
    assert isinstance(result, RoutedCreateResult)
    assert (result.content, result.finish_reason, result.cached) == (GREETING, "stop", False)
    assert result.taskrouter["model"] == OPENAI
    assert set(result.taskrouter) == {
        *("decision_id", "model", "reason", "task_type", "status", "attempts", "cost_usd")
    }


async def test_the_account_is_in_no_dump_and_no_repr(routed: Routed) -> None:
    result = await routed().create([QUESTION])
    assert "dec_" not in result.model_dump_json() + repr(result) + str(result)
    assert set(result.model_dump()) == set(CreateResult.model_fields)
    assert CreateResult.model_validate(result) is result
    plain = CreateResult.model_validate_json(result.model_dump_json())
    assert plain.usage == result.usage
    assert result.usage == plain.usage
    assert pickle.loads(pickle.dumps(result)).taskrouter == result.taskrouter  # noqa: S301 - our own


@pytest.mark.parametrize("fault", ["error", "unavailable", "limited", "cut", "empty", "stops", "silent"])
async def test_a_failed_attempt_falls_back(routed: Routed, vendors: Vendors, fault: Any) -> None:
    vendors.fail(OPENAI, fault)
    result = await routed().create([QUESTION])
    assert result.content == GREETING
    assert (result.taskrouter["model"], result.taskrouter["status"]) == (ANTHROPIC, "fallback")
    assert asked(vendors) == [OPENAI, ANTHROPIC]


async def test_an_address_where_nobody_listens_falls_back(vendors: Vendors, dead: Any) -> None:
    client = RoutedChatCompletionClient({"dead": dead, "live": openai(vendors)}, "dead", max_retries=0)
    assert (await client.create([QUESTION])).taskrouter["model"] == "live"


async def test_all_attempts_are_in_the_error_with_the_providers_own_beneath(routed: Routed, vendors: Vendors) -> None:
    vendors.fail(OPENAI, "error")
    vendors.fail(ANTHROPIC, "unavailable")
    with pytest.raises(AllAttemptsFailedError) as caught:
        await routed().create([QUESTION])
    assert [attempt.model for attempt in caught.value.attempts] == [OPENAI, ANTHROPIC]
    causes = [type(error.__cause__).__name__ for error in caught.value.exceptions]
    assert causes == ["InternalServerError", "InternalServerError"]
    assert str(QUESTION.content) not in str(caught.value)


async def test_the_users_client_keeps_its_retries_and_its_counts(vendors: Vendors) -> None:
    own = openai(vendors)
    client = RoutedChatCompletionClient({"own": own, "other": anthropic(vendors)}, "own", max_retries=0)
    vendors.fail(OPENAI, "error")
    await client.create([QUESTION])
    assert asked(vendors) == [OPENAI, ANTHROPIC]
    assert own._client.max_retries == 2
    assert own.total_usage().prompt_tokens == 0
    vendors.reset()
    with pytest.warns(UserWarning, match="Resolved model mismatch"):
        await own.create([QUESTION])
    await own.close()
    assert own.total_usage().prompt_tokens > 0


async def test_the_router_asks_again_as_often_as_it_is_told_to(vendors: Vendors) -> None:
    config = {"execution": {"backoff_base_s": 0.001}}
    client = RoutedChatCompletionClient([openai(vendors)], config=config, max_retries=2)
    vendors.fail(OPENAI, "error")
    with pytest.raises(AllAttemptsFailedError):
        await client.create([QUESTION])
    assert asked(vendors) == [OPENAI] * 3


async def test_a_call_may_name_its_candidate(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    for extra in ({"model": ANTHROPIC}, {"taskrouter": {"model": ANTHROPIC}}):
        assert (await client.create([QUESTION], extra_create_args=extra)).taskrouter["model"] == ANTHROPIC
    assert asked(vendors) == [ANTHROPIC, ANTHROPIC]
    with pytest.raises(ConfigurationError, match="'nobody' is no candidate"):
        await client.create([QUESTION], extra_create_args={"model": "nobody"})


async def test_a_dry_run_asks_the_incumbent_and_tells_of_the_other(routed: Routed) -> None:
    trial = {"taskrouter": {"policy": "economy", "dry_run": True}}
    result = await routed().create([QUESTION], extra_create_args=trial)
    assert result.taskrouter["model"] == OPENAI
    assert set(result.taskrouter["dry_run"]) == {"model", "reason"}


@pytest.mark.parametrize(
    ("said", "problem"),
    [({"agnet": "x"}, "unknown key 'agnet'"), ({"task": "plotting"}, "unknown task type"), ("x", "must be a mapping")],
)
async def test_a_wrong_declaration_is_named(routed: Routed, vendors: Vendors, said: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        await routed().create([QUESTION], extra_create_args={"taskrouter": said})
    assert not vendors.received


async def test_a_step_with_tools_goes_to_a_model_that_has_them(vendors: Vendors, weather: FunctionTool) -> None:
    mute = openai(vendors, model_info=info(function_calling=False))
    client = RoutedChatCompletionClient([mute, anthropic(vendors)], OPENAI)
    assert client.model_info["function_calling"]
    result = await client.create([UserMessage(content="What is the weather?", source="user")], tools=[weather])
    assert isinstance(result.content, list)
    assert isinstance(result.content[0], FunctionCall)
    assert asked(vendors) == [ANTHROPIC]


@pytest.mark.parametrize(
    ("lacks", "options", "messages"),
    [
        ({"json_output": False}, {"json_output": True}, [UserMessage(content="Say 'yes' in json", source="user")]),
        (
            {"multiple_system_messages": False},
            {},
            [SystemMessage(content="Be brief."), QUESTION, SystemMessage(content="Be kind.")],
        ),
    ],
)
async def test_what_only_some_candidates_take_goes_to_those(
    vendors: Vendors, lacks: Any, options: Any, messages: Any
) -> None:
    less = openai(vendors, model="less", model_info=info(**lacks))
    client = RoutedChatCompletionClient([less, openai(vendors)], "less")
    assert (await client.create(messages, **options)).taskrouter["model"] == OPENAI
    assert asked(vendors) == [OPENAI]
    alone = RoutedChatCompletionClient([less])
    with pytest.raises(NoEligibleModelError, match=next(iter(lacks))):
        await alone.create(messages, **options)


async def test_a_shared_router_that_knows_better_does_not_send_tools_to_who_refuses_them(
    routed: Routed, vendors: Vendors, weather: FunctionTool
) -> None:
    router = routed().router
    less = [openai(vendors, model_info=info(function_calling=False)), anthropic(vendors)]
    result = await routed(candidates=less, router=router).create([QUESTION], tools=[weather])
    assert result.taskrouter["model"] == ANTHROPIC


async def test_a_budget_holds(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    with client.router.budget(usd=1e-9), pytest.raises(BudgetExceededError):
        await client.create([QUESTION])
    assert not vendors.received


async def test_a_cache_may_be_a_candidate(vendors: Vendors) -> None:
    cache = ChatCompletionCache(openai(vendors))
    client = RoutedChatCompletionClient({"cached": cache, "other": anthropic(vendors)}, "cached", max_retries=0)
    first, second = await client.create([QUESTION]), await client.create([QUESTION])
    assert (first.cached, second.cached) == (False, True)
    assert second.taskrouter["decision_id"] != first.taskrouter["decision_id"]
    assert asked(vendors) == [OPENAI]
    used = client.total_usage()
    assert (used.prompt_tokens, used.completion_tokens) == (first.usage.prompt_tokens, first.usage.completion_tokens)
    vendors.fail(OPENAI, "error")
    assert (await client.create([UserMessage(content="And?", source="user")])).taskrouter["model"] == "other"
    assert asked(vendors) == [OPENAI, OPENAI, ANTHROPIC]


async def test_an_answer_out_of_a_cache_around_it_has_no_account(routed: Routed) -> None:
    cache = ChatCompletionCache(routed())
    first: Any = await cache.create([QUESTION])
    assert first.taskrouter["model"] == OPENAI
    again: Any = await cache.create([QUESTION])
    assert again.cached
    assert again.taskrouter == {}


async def test_a_client_of_another_shape_is_used_as_it_is() -> None:
    replay = ReplayChatCompletionClient(["one", "two"], info(function_calling=False))
    client = RoutedChatCompletionClient({"replay": replay})
    assert (await client.create([QUESTION])).content == "one"
    assert [chunk async for chunk in client.create_stream([QUESTION])][:-1] == ["two"]
    assert len(replay.create_calls) == 1


async def test_a_client_gets_only_the_arguments_that_it_takes() -> None:
    class Plain(ReplayChatCompletionClient):
        async def create(self, messages: Any, *, tools: Any = (), json_output: Any = None) -> CreateResult:  # type: ignore[override] # an older interface
            return await super().create(messages, tools=tools, json_output=json_output)

    client = RoutedChatCompletionClient({"plain": Plain(["yes"])})
    assert (await client.create([QUESTION], tool_choice="required", include_usage=True)).content == "yes"


async def test_a_bug_of_a_candidates_client_is_that_candidates_failure(vendors: Vendors) -> None:
    class Broken(ReplayChatCompletionClient):
        async def create(self, *_: Any, **__: Any) -> Any:
            raise TypeError("'NoneType' object is not subscriptable")

        async def create_stream(self, *_: Any, **__: Any) -> Any:
            yield ""
            raise AttributeError("choices")

    client = RoutedChatCompletionClient({"broken": Broken([]), "good": openai(vendors)}, "broken", max_retries=0)
    assert (await client.create([QUESTION])).taskrouter["model"] == "good"
    assert (await streamed(client))[-1].taskrouter["model"] == "good"
    alone = RoutedChatCompletionClient({"broken": Broken([])}, max_retries=0)
    with pytest.raises(AllAttemptsFailedError) as caught:
        await alone.create([QUESTION])
    assert isinstance(caught.value.exceptions[0].__cause__.__cause__, TypeError)  # type: ignore[union-attr] # there is one


def breakers(client: RoutedChatCompletionClient) -> set[str]:
    return {endpoint.breaker for endpoint in client.router.health()}


@STREAMED
async def test_a_call_that_a_client_does_not_take_does_not_count_against_its_model(
    routed: Routed, vendors: Vendors, *, stream: bool
) -> None:
    client = routed()
    for _ in range(10):  # more than a breaker bears
        result = await answer(client, stream=stream, extra_create_args={"top_k": 3})  # OpenAI's client has none
        assert (result.taskrouter["model"], result.taskrouter["status"]) == (ANTHROPIC, "fallback")
    assert breakers(client) == {"closed"}
    assert (await answer(client, stream=stream)).taskrouter["model"] == OPENAI


async def test_tools_that_do_not_go_with_a_class_of_answers_close_no_model(
    routed: Routed, vendors: Vendors, weather: FunctionTool
) -> None:
    client = routed()
    for _ in range(10):
        with pytest.raises(AllAttemptsFailedError, match="its client does not take such a call") as caught:
            await client.create([QUESTION], tools=[weather], json_output=City)
        assert "is not strict" in str(caught.value.exceptions[0].__cause__)
    assert breakers(client) == {"closed"}
    assert not vendors.received


async def test_an_answer_that_breaks_its_class_is_a_bad_answer_and_is_not_quoted(vendors: Vendors) -> None:
    client = RoutedChatCompletionClient([openai(vendors)], max_retries=0)
    question = UserMessage(content="Which 'city' do you like?", source="user")
    for _ in range(10):
        vendors.fail(OPENAI, "misshapen")
        with pytest.raises(AllAttemptsFailedError, match="breaks the response schema") as caught:
            await client.create([question], json_output=City)
    assert isinstance(caught.value.exceptions[0], BadAnswer)
    assert "nobody" not in "".join(traceback.format_exception(caught.value))
    assert breakers(client) == {"closed"}


async def test_a_client_that_cannot_stream_leaves_it_to_another(vendors: Vendors) -> None:
    class Whole(ReplayChatCompletionClient):
        async def create_stream(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError("streams")
            yield ""

    client = RoutedChatCompletionClient({"whole": Whole(["one"]), "other": openai(vendors)}, "whole")
    assert (await streamed(client))[-1].taskrouter["model"] == "other"
    assert (await client.create([QUESTION])).content == "one"


@STREAMED
async def test_what_is_no_answer_falls_back(vendors: Vendors, *, stream: bool) -> None:
    class Silent(ReplayChatCompletionClient):
        async def create(self, *_: Any, **__: Any) -> Any:
            return None

        async def create_stream(self, *_: Any, **__: Any) -> Any:
            yield None

    client = RoutedChatCompletionClient({"silent": Silent([]), "good": openai(vendors)}, "silent", max_retries=0)
    assert (await answer(client, stream=stream)).taskrouter["model"] == "good"


@STREAMED
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"messages": "Hello"}, "messages is a str"),
        ({"messages": QUESTION}, "messages is a UserMessage"),
        ({"messages": None}, "messages is a NoneType"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, r"messages\[0\] is a dict"),
        ({"tools": None}, "tools is a NoneType"),
        ({"tools": [get_weather]}, r"tools\[0\] is a function"),
        ({"tool_choice": "get_weather"}, "tool_choice is a str; it must be a tool"),
        ({"tool_choice": FunctionTool(get_weather, "")}, "'get_weather', which is not among the tools"),
        ({"json_output": {"type": "object"}}, "json_output is a dict"),
        ({"json_output": int}, "json_output is a type"),
        ({"extra_create_args": None}, "extra_create_args is a NoneType"),
        ({"cancellation_token": "now"}, "cancellation_token is a str"),
        ({"temperature": 0.5}, "no candidate takes the argument 'temperature'"),
    ],
)
async def test_a_wrong_argument_is_named_and_nothing_is_sent(
    routed: Routed, vendors: Vendors, given: Any, problem: str, *, stream: bool
) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        await answer(routed(), stream=stream, **given)
    assert not vendors.received


@STREAMED
@pytest.mark.parametrize(
    "wanted",
    [
        {"json_output": City},
        {"extra_create_args": {"response_format": {"type": "json_object"}}},
        {"extra_create_args": {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}},
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")  # AutoGen logs what the SDK has parsed
async def test_a_form_of_answers_is_not_asked_of_a_client_that_refuses_or_ignores_it(
    vendors: Vendors, wanted: Any, *, stream: bool
) -> None:
    """Anthropic's client raises at a class, whatever its `model_info` says, and leaves a `response_format` out."""
    able = anthropic(vendors, model_info=info(json_output=False))
    question = UserMessage(content="Which 'city' do you like? Say it in json: 'Paris'", source="user")
    client = RoutedChatCompletionClient([able, openai(vendors)], ANTHROPIC)
    assert (await answer(client, [question], stream=stream, **wanted)).taskrouter["model"] == OPENAI
    assert asked(vendors) == [OPENAI]
    alone = RoutedChatCompletionClient([able])
    assert not alone.model_info["structured_output"]
    with pytest.raises(NoEligibleModelError, match="_output"):
        await answer(alone, [question], stream=stream, **wanted)


async def test_a_failure_of_our_own_is_no_models_failure(routed: Routed, vendors: Vendors) -> None:
    with pytest.raises(LocalFailure):
        await routed().create([QUESTION], extra_create_args={"metadata": {1: object()}})
    assert not vendors.received


async def test_many_calls_at_once(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    results = await asyncio.gather(*(client.create([QUESTION]) for _ in range(20)))
    assert {result.content for result in results} == {GREETING}
    assert asked(vendors) == [OPENAI] * 20
