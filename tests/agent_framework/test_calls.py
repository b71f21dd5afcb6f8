"""Whole answers: the account, what a candidate is called with, what a call may say, and how failures are raised."""

from __future__ import annotations

import copy
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agent_framework import ChatContext, ChatResponse, Content, Message, MiddlewareFailure
from agent_framework.exceptions import (
    ChatClientContentFilterException,
    ChatClientException,
    ChatClientInvalidAuthException,
    ChatClientInvalidRequestException,
    ChatClientInvalidResponseException,
    ResponseInvalidatedException,
)
from agent_framework_openai import OpenAIChatClient, OpenAIChatCompletionClient
from pydantic import BaseModel
from tests.standins import Vendors
from tests.standins.brain import GREETING
from tests.watcher import Watcher

from autogen_taskrouter.agent_framework import RoutedChatClient
from autogen_taskrouter.agent_framework._errors import framework_errors
from taskrouter import (
    AllAttemptsFailedError,
    BudgetExceededError,
    ConfigurationError,
    NoEligibleModelError,
    ResponseView,
    TaskRouterError,
)
from taskrouter import errors as e

from .conftest import CHAT, STORING, Clients, Routed, account, asked, said

Next = Callable[[], Awaitable[None]]


class City(BaseModel):
    """A city."""

    name: str
    people: int


async def test_an_answer_has_its_account(routed: Routed, watcher: Watcher) -> None:
    answer = await routed().get_response(said("Hello"))
    assert answer.text == GREETING
    assert account(answer) == {
        "decision_id": watcher.outcomes[0].decision_id,
        "model": "chat",
        "reason": "incumbent",
        "task_type": watcher.decisions[0].profile.task_type,
        "status": "ok",
        "attempts": 1,
        "cost_usd": watcher.outcomes[0].cost_usd,
    }
    assert account(answer)["cost_usd"] > 0
    assert answer.usage_details == {**(answer.usage_details or {}), "output_token_count": 8}
    assert [message.additional_properties for message in answer.messages] == [{}]


@pytest.mark.parametrize("fault", ["error", "unavailable", "limited", "cut", "empty", "stops", "silent"])
@pytest.mark.parametrize("incumbent", ["chat", "storing"])
async def test_a_failure_falls_back_after_one_request(
    routed: Routed, vendors: Vendors, incumbent: str, fault: Any
) -> None:
    dead, alive = (CHAT, STORING) if incumbent == "chat" else (STORING, CHAT)
    vendors.fail(dead, fault)
    answer = await routed(incumbent).get_response(said("Hello"))
    assert answer.text == GREETING
    assert (account(answer)["status"], account(answer)["attempts"]) == ("fallback", 2)
    assert asked(vendors) == [dead, alive]


async def test_a_candidate_that_cannot_be_reached_falls_back(routed: Routed, clients: Clients) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    gone = OpenAIChatCompletionClient(model="gone", base_url=address, api_key="any")
    answer = await routed(candidates={"chat": gone, "storing": clients["storing"]}).get_response(said("Hello"))
    assert (answer.text, account(answer)["model"]) == (GREETING, "storing")


async def test_a_candidate_is_called_by_its_own_name_with_the_calls_options(routed: Routed, vendors: Vendors) -> None:
    options = {"temperature": 0.5, "max_tokens": 9, "instructions": "Be brief."}
    await routed().get_response(said("Hello"), options=options)
    body = vendors.received[0].body
    assert body == {
        "model": CHAT,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "max_completion_tokens": 9,
        "stream": False,
    }


@pytest.mark.parametrize("where", ["options", "client_kwargs"])
async def test_a_call_may_name_its_candidate_and_has_no_other(routed: Routed, vendors: Vendors, where: str) -> None:
    named: Any = (
        {"options": {"model": "storing"}}
        if where == "options"
        else {"client_kwargs": {"taskrouter": {"model": "storing"}}}
    )
    answer = await routed().get_response(said("Hello"), **named)
    assert account(answer)["model"] == "storing"
    vendors.fail(STORING, "error")
    with pytest.raises(ChatClientException):
        await routed().get_response(said("Hello"), **named)
    assert asked(vendors) == [STORING, STORING]


async def test_a_model_that_is_no_candidate_is_refused(routed: Routed, vendors: Vendors) -> None:
    with pytest.raises(ConfigurationError, match=r"options\['model'\]='gpt-9' is no candidate; .* chat, storing"):
        await routed().get_response(said("Hello"), options={"model": "gpt-9"})
    assert asked(vendors) == []


async def test_a_call_may_declare_its_step(routed: Routed, watcher: Watcher) -> None:
    said_of_it = {"task": "extraction", "agent": "reader", "node": "n", "index": 3, "run_id": "r", "session_id": "s"}
    declared = {**said_of_it, "tenant": "acme", "tags": ["a"]}
    await routed().for_agent("other", node="m").get_response(said("Hello"), client_kwargs={"taskrouter": declared})
    context = watcher.decisions[0].context
    assert (context.agent, context.node, context.index, context.run_id) == ("reader", "n", 3, "r")
    assert (context.session_id, context.tenant, context.tags) == ("s", "acme", frozenset({"a"}))
    assert watcher.decisions[0].profile.task_type == "extraction"


async def test_a_view_declares_for_all_its_calls(routed: Routed, watcher: Watcher) -> None:
    client = routed()
    view = client.for_agent("planner", task="planning", tenant="acme").for_agent("critic")
    await view.get_response(said("Hello"))
    await client.get_response(said("Hello"))
    first, second = (decision.context for decision in watcher.decisions)
    assert (first.agent, first.tenant, second.agent) == ("critic", "acme", None)
    assert watcher.decisions[0].profile.task_type == "planning"


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"taks": "planning"}, r"client_kwargs\['taskrouter'\]: unknown key 'taks'"),
        ({"task": "poetry slam"}, "unknown task type 'poetry slam'"),
        ({"dry_run": "yes"}, "dry_run is a str"),
        ("planning", "it must be a mapping"),
        ([], "it must be a mapping"),
    ],
)
async def test_a_wrong_declaration_is_refused(routed: Routed, vendors: Vendors, declared: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        await routed().get_response(said("Hello"), client_kwargs={"taskrouter": declared})
    assert asked(vendors) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"messages": [{"role": "user", "content": "secret"}]}, r"messages\[0\] is a dict; it must be a Message"),
        ({"options": ["secret"]}, "options is a list; it must be a mapping"),
        ({"options": {"instructions": ["secret", 3]}}, r"options\['instructions'\] is neither text nor a list"),
        ({"client_kwargs": "secret"}, "client_kwargs is a str; it must be a mapping"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_argument_of_the_wrong_kind_is_told_at_once(
    routed: Routed, vendors: Vendors, arguments: Any, says: str, *, stream: bool
) -> None:
    with pytest.raises(TaskRouterError, match=says) as told:
        await routed().get_response(**{"messages": said("Hello"), "stream": stream, **arguments})
    assert "secret" not in str(told.value)
    assert asked(vendors) == []


def test_a_view_takes_no_more_than_what_is_said_of_steps(routed: Routed) -> None:
    with pytest.raises(ConfigurationError, match="for_agent: unknown key 'policy'"):
        routed().for_agent("planner", policy="economy")


async def test_in_a_dry_run_the_incumbent_answers(routed: Routed) -> None:
    declared = {"dry_run": True, "policy": {"cost": 1.0}}
    answer = await routed().get_response(said("Hello"), client_kwargs={"taskrouter": declared})
    assert account(answer)["model"] == "chat"
    assert set(account(answer)["dry_run"]) == {"model", "reason"}


async def test_other_arguments_go_to_the_candidates(routed: Routed, clients: Clients) -> None:
    seen: list[Any] = []

    async def noting(context: ChatContext, call_next: Next) -> None:
        seen.append((context.client, context.kwargs))
        await call_next()

    clients["chat"].chat_middleware = [noting]  # type: ignore[attr-defined] # what its `middleware` argument makes
    given = {"extra_headers": {"x-trace": "1"}, "taskrouter": {"task": "chat"}}
    await routed().get_response(said("Hello"), client_kwargs=given)
    assert [kwargs for _, kwargs in seen] == [{"extra_headers": {"x-trace": "1"}}]


async def test_chat_middleware_of_a_candidate_runs_for_its_own_calls(
    routed: Routed, clients: Clients, vendors: Vendors
) -> None:
    async def shouting(context: ChatContext, call_next: Next) -> None:
        context.messages = [Message("user", [context.messages[-1].text.upper()])]
        await call_next()

    clients["chat"].chat_middleware = [shouting]  # type: ignore[attr-defined] # as above
    vendors.fail(CHAT, "error")
    messages = said("Hello")
    answer = await routed().get_response(messages)
    assert account(answer)["model"] == "storing"
    first, second = vendors.received
    assert first.body["messages"] == [{"role": "user", "content": "HELLO"}]
    assert second.body["input"][0]["content"][0]["text"] == messages[0].text == "Hello"


async def test_a_candidates_middleware_may_answer_in_its_place(
    routed: Routed, clients: Clients, vendors: Vendors
) -> None:
    kept = ChatResponse(messages=[Message("assistant", ["from the shelf"])])

    async def answering(context: ChatContext, call_next: Next) -> None:
        context.result = kept

    clients["chat"].chat_middleware = [answering]  # type: ignore[attr-defined] # as above
    answer = await routed().get_response(said("Hello"))
    assert (answer.text, account(answer)["model"]) == ("from the shelf", "chat")
    assert kept.additional_properties == {}
    assert asked(vendors) == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_candidates_middleware_may_end_the_run(
    routed: Routed, clients: Clients, vendors: Vendors, *, stream: bool
) -> None:
    """`MiddlewareFailure` is the framework's way to fail closed: no other model gets round it."""

    async def forbidding(context: ChatContext, call_next: Next) -> None:
        raise MiddlewareFailure("not this") from KeyError("reason")

    clients["chat"].chat_middleware = [forbidding]  # type: ignore[attr-defined] # as above
    client = routed()
    answer: Any = client.get_response(said("Hello"), stream=stream)  # type: ignore[call-overload] # both
    with pytest.raises(MiddlewareFailure, match="not this") as raised:
        await (answer.get_final_response() if stream else answer)
    assert isinstance(raised.value.__cause__, KeyError)
    assert asked(vendors) == []


@pytest.mark.parametrize(
    "kind",
    [
        ChatClientInvalidAuthException,
        ChatClientInvalidRequestException,
        ChatClientContentFilterException,
        ChatClientInvalidResponseException,
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_client_raises_of_its_own_accord_keeps_its_kind(
    clients: Clients, kind: type[ChatClientException], *, stream: bool
) -> None:
    async def refusing(context: ChatContext, call_next: Next) -> None:
        raise kind("secret")

    clients["chat"].chat_middleware = [refusing]  # type: ignore[attr-defined] # as above
    client = RoutedChatClient({"chat": clients["chat"]})
    answer: Any = client.get_response(said("Hello"), stream=stream)  # type: ignore[call-overload] # both
    with pytest.raises(kind) as raised:
        await (answer.get_final_response() if stream else answer)
    assert isinstance(raised.value.__cause__, AllAttemptsFailedError)
    assert "secret" not in str(raised.value)


async def test_another_failure_of_a_candidates_middleware_is_a_failed_attempt(
    routed: Routed, clients: Clients, vendors: Vendors
) -> None:
    async def failing(context: ChatContext, call_next: Next) -> None:
        raise ValueError

    clients["chat"].chat_middleware = [failing]  # type: ignore[attr-defined] # as above
    answer = await routed().get_response(said("Hello"))
    assert account(answer)["model"] == "storing"
    assert asked(vendors) == [STORING]


async def test_messages_and_options_of_the_caller_stay_as_they_are(routed: Routed, vendors: Vendors) -> None:
    call = Content.from_function_call("call_1", "get_weather", arguments='{"city": "Oslo"}')
    messages = [*said("Hello"), Message("assistant", [call]), *said("And now?")]
    options: Any = {"temperature": 0.1, "stop": ["x"]}
    before, before_options = [message.to_dict() for message in messages], copy.deepcopy(options)
    objects = list(messages)
    vendors.fail(CHAT, "error")
    vendors.fail(STORING, "error")
    with pytest.raises(ChatClientException):
        await routed().get_response(messages, options=options)
    assert [message.to_dict() for message in messages] == before
    assert [given is kept for given, kept in zip(messages, objects, strict=True)] == [True] * 3
    assert options == before_options


# --- structured output ----------------------------------------------------------------------------------------------

SCHEMA = City.model_json_schema()
FORMATS: list[Any] = [
    City,
    {**SCHEMA, "additionalProperties": False},
    {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}},
]


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
@pytest.mark.parametrize("response_format", FORMATS, ids=["class", "schema", "wrapped"])
async def test_a_value_is_there_whoever_answered(
    routed: Routed, watcher: Watcher, incumbent: str, response_format: Any
) -> None:
    answer = await routed(incumbent).get_response(said("Tell me of Oslo"), options={"response_format": response_format})
    value = answer.value if isinstance(answer.value, City) else City.model_validate(answer.value)
    assert value.name
    assert isinstance(answer.value, City) == (response_format is City)
    assert watcher.decisions[0].profile.requirements.json_schema
    assert account(answer)["model"] == incumbent


@pytest.mark.parametrize("response_format", FORMATS, ids=["class", "schema", "wrapped"])
async def test_an_answer_that_breaks_the_schema_is_a_failed_attempt(
    routed: Routed, vendors: Vendors, watcher: Watcher, response_format: Any
) -> None:
    vendors.fail(CHAT, "misshapen")
    answer = await routed().get_response(said("Tell me of Oslo"), options={"response_format": response_format})
    value = answer.value if isinstance(answer.value, City) else City.model_validate(answer.value)
    assert value.name
    assert [attempt.error_type for attempt in watcher.attempts] == ["bad_answer", None]
    assert account(answer)["model"] == "storing"


async def test_json_without_a_schema_is_not_checked(routed: Routed, watcher: Watcher) -> None:
    options: Any = {"response_format": {"type": "json_object"}}
    answer = await routed().get_response(said("Give me 'name' as JSON"), options=options)
    assert answer.value == {"name": "a name"}
    assert not watcher.decisions[0].profile.requirements.json_schema


# --- failures -------------------------------------------------------------------------------------------------------


async def test_when_all_fail_the_frameworks_error_has_every_attempt(routed: Routed, vendors: Vendors) -> None:
    vendors.fail(CHAT, "unavailable")
    vendors.fail(STORING, "error")
    with pytest.raises(ChatClientException) as caught:
        await routed().get_response(said("Hello, prompt-canary"))
    cause = caught.value.__cause__
    assert isinstance(cause, AllAttemptsFailedError)
    assert [attempt.model for attempt in cause.attempts] == ["chat", "storing"]
    assert [type(error) for error in cause.exceptions] == [e.Overloaded, e.ServerFailed]
    assert "canary" not in f"{caught.value} {cause}"


@pytest.mark.parametrize(
    ("last", "raised"),
    [
        (e.Unauthenticated, ChatClientInvalidAuthException),
        (e.BadRequest, ChatClientInvalidRequestException),
        (e.ContextOverflow, ChatClientInvalidRequestException),
        (e.ModelNotFound, ChatClientInvalidRequestException),
        (e.Refused, ChatClientContentFilterException),
        (e.EmptyAnswer, ChatClientInvalidResponseException),
        (e.BadAnswer, ChatClientInvalidResponseException),
        (e.RateLimited, ChatClientException),
        (e.Timeout, ChatClientException),
        (e.ConnectionFailed, ChatClientException),
    ],
)
def test_the_error_is_of_the_last_failures_kind(
    last: type[e.ModelCallError], raised: type[ChatClientException]
) -> None:
    failed = AllAttemptsFailedError([e.ServerFailed("a"), last("b")], [])
    with pytest.raises(ChatClientException) as caught, framework_errors():
        raise failed
    assert type(caught.value) is raised
    assert caught.value.__cause__ is failed


@pytest.mark.parametrize("said_so", [False, True])
def test_a_broken_stream_says_that_nothing_of_it_holds_if_its_client_did(*, said_so: bool) -> None:
    broken = e.StreamBroken("a", partial=ResponseView(text="Hel"))
    broken.__cause__ = ResponseInvalidatedException("no") if said_so else ChatClientException("gone")
    with pytest.raises(ChatClientException) as caught, framework_errors():
        raise broken from broken.__cause__
    assert type(caught.value) is (ResponseInvalidatedException if said_so else ChatClientException)
    assert caught.value.__cause__ is broken


async def test_a_model_that_nobody_knows_there_is_told_as_such(vendors: Vendors) -> None:
    client = RoutedChatClient({"chat": OpenAIChatCompletionClient(model="m", base_url=vendors.url, api_key="any")})
    with pytest.raises(ChatClientInvalidRequestException) as caught:  # there is nothing at this address: 404
        await client.get_response(said("Hello"))
    assert isinstance(caught.value.__cause__, AllAttemptsFailedError)


async def test_a_budget_is_kept_and_told_as_it_is(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    with client.router.budget(usd=0.000_000_1), pytest.raises(BudgetExceededError):
        await client.get_response(said("Hello"))
    with client.router.budget(usd=1.0) as budget:
        await client.get_response(said("Hello"))
    assert budget.spent_usd > 0
    assert asked(vendors) == [CHAT]


async def test_a_rule_holds_though_its_only_model_is_dead(routed: Routed, vendors: Vendors) -> None:
    rules = [{"name": "private", "when": {"tenant": "acme"}, "use": ["storing"]}]
    client = routed(config={"rules": rules}).for_agent("clerk", tenant="acme")
    assert account(await client.get_response(said("Hello")))["model"] == "storing"
    vendors.fail(STORING, "error")
    with pytest.raises(ChatClientException):
        await client.get_response(said("Hello"))
    with pytest.raises(NoEligibleModelError):
        await client.get_response(said("Hello"), options={"model": "chat"})
    assert asked(vendors) == [STORING, STORING]


async def test_a_model_without_a_name_is_a_failure_like_any_other(vendors: Vendors, routed: Routed) -> None:
    storing = OpenAIChatClient(model=STORING, base_url=vendors.openai_url, api_key="any")
    nameless = copy.copy(storing)
    nameless.model = ""
    answer = await routed(candidates={"chat": nameless, "storing": storing}).get_response(said("Hello"))
    assert account(answer)["model"] == "storing"
