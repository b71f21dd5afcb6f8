"""Which step of which agent a call is: declared, from AutoGen's span, or from its runtime."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from autogen_core import AgentId
from autogen_core._message_handler_context import MessageHandlerContext
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_trace_id
from tests.autogen.models import ANTHROPIC, OPENAI
from tests.standins import Vendors
from tests.watcher import Watcher

from autogen_taskrouter import RoutedChatCompletionClient
from taskrouter import ConfigurationError, StepContext
from taskrouter.errors import InvalidStepError

from .conftest import QUESTION, Routed, Routers, asked, streamed

INVOKED = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}


@pytest.fixture
def client(routed: Routed, router_of: Routers) -> RoutedChatCompletionClient:
    return routed(router=router_of())


def seen(watcher: Watcher) -> StepContext:
    return watcher.outcomes[-1].decision.context


async def test_alone_nothing_is_known(client: RoutedChatCompletionClient, watcher: Watcher) -> None:
    await client.create([QUESTION])
    assert seen(watcher) == StepContext()


async def test_a_view_declares_its_agent(client: RoutedChatCompletionClient, watcher: Watcher) -> None:
    planner = client.for_agent("planner", task="planning", node="plan", tenant="acme", tags=["slow"])
    await planner.create([QUESTION])
    context = seen(watcher)
    assert (context.agent, context.node, context.tenant, context.tags) == (
        "planner",
        "plan",
        "acme",
        frozenset({"slow"}),
    )
    assert watcher.outcomes[-1].decision.profile.task_type == "planning"
    assert planner.router is client.router
    assert planner.total_usage() == client.total_usage()
    assert client.total_usage().prompt_tokens > 0


async def test_tags_of_a_view_hold_for_every_call(client: RoutedChatCompletionClient, watcher: Watcher) -> None:
    view = client.for_agent("planner", tags=(tag for tag in ("slow", "eu")))
    for _ in range(2):
        await view.create([QUESTION])
        assert seen(watcher).tags == {"slow", "eu"}


async def test_views_add_up(client: RoutedChatCompletionClient, watcher: Watcher) -> None:
    await client.for_agent("planner", tenant="acme").for_agent("critic").create([QUESTION])
    assert (seen(watcher).agent, seen(watcher).tenant) == ("critic", "acme")


async def test_a_call_says_more_than_its_view(client: RoutedChatCompletionClient, watcher: Watcher) -> None:
    said = {"taskrouter": {"agent": "critic", "run_id": "run-1", "session_id": "s", "index": 3}}
    await client.for_agent("planner").create([QUESTION], extra_create_args=said)
    context = seen(watcher)
    assert (context.agent, context.run_id, context.session_id, context.index) == ("critic", "run-1", "s", 3)


async def test_autogens_span_names_the_agent_and_its_trace_is_the_run(
    client: RoutedChatCompletionClient, watcher: Watcher
) -> None:
    tracer = TracerProvider().get_tracer("autogen-core")
    with tracer.start_as_current_span("invoke_agent planner", attributes=INVOKED) as span:
        await streamed(client)
    assert seen(watcher).agent == "planner"
    assert seen(watcher).run_id == format_trace_id(span.get_span_context().trace_id)


async def test_another_span_names_nobody(client: RoutedChatCompletionClient, watcher: Watcher) -> None:
    tracer = TracerProvider().get_tracer("somebody")
    other = {**INVOKED, "gen_ai.operation.name": "execute_tool"}
    with tracer.start_as_current_span("execute_tool x", attributes=other):
        await client.create([QUESTION])
    assert seen(watcher).agent is None


@pytest.mark.parametrize("suffix", ["", str(uuid4())])
async def test_the_runtime_names_the_agent_and_a_team_is_a_session(
    client: RoutedChatCompletionClient, watcher: Watcher, suffix: str
) -> None:
    kind = f"the_planner_{suffix}" if suffix else "the_planner"
    with MessageHandlerContext.populate_context(AgentId(kind, "default")):
        await client.create([QUESTION])
    assert (seen(watcher).agent, seen(watcher).session_id) == ("the_planner", suffix or None)


async def test_a_rule_on_the_agent_decides(routed: Routed, vendors: Vendors) -> None:
    rules = [{"name": "critics", "when": {"agent": "critic"}, "use": [ANTHROPIC]}]
    client = routed(config={"rules": rules, "execution": {"retries": 0}})
    await client.create([QUESTION])
    await client.for_agent("critic").create([QUESTION])
    assert asked(vendors) == [OPENAI, ANTHROPIC]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"tsak": "x"}, "unknown key 'tsak'"),
        ({"task": "x"}, "unknown task type 'x'"),
        ({"policy": "safe"}, "unknown key"),
        ({"tags": [1]}, "tags holds a int"),
        ({"tags": "slow"}, "tags is a collection"),
        ({"index": "first"}, "index is a str"),
    ],
)
def test_a_view_with_a_wrong_declaration_is_refused(routed: Routed, said: Any, problem: str) -> None:
    with pytest.raises((ConfigurationError, InvalidStepError), match=problem):
        routed().for_agent("planner", **said)
