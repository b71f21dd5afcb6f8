"""What only one provider has: tools that it runs itself, conversations and answers that it keeps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from agent_framework import Agent, AgentSession, BaseChatClient, Content, FunctionTool, Message
from agent_framework_openai import OpenAIChatClient, OpenAIChatCompletionClient
from tests.standins import Vendors

from autogen_taskrouter.agent_framework._candidates import Candidate, candidates_of
from autogen_taskrouter.agent_framework._routing import Routing, Setup
from autogen_taskrouter.agent_framework._tools import able, fitting, is_hosted
from taskrouter import ConfigurationError

from .conftest import CHAT, STORING, Clients, Routed, account, asked, said

INTERPRETER = OpenAIChatClient.get_code_interpreter_tool()
CLAUDES = {"type": "web_search_20250305", "name": "web_search"}


class ClaudeClient(BaseChatClient[Any]):
    """A client that makes its tools as Anthropic's does."""

    @staticmethod
    def get_web_search_tool() -> dict[str, str]:
        """Return a tool."""
        return CLAUDES

    @staticmethod
    def get_mcp_tool(*, name: str, url: str) -> dict[str, str]:
        """Return a tool."""
        return {"type": "mcp", "server_label": name, "server_url": url}

    def _inner_get_response(self, **_: Any) -> Any:
        raise AssertionError("it is not called")


@pytest.fixture
def pool(clients: Clients) -> dict[str, Candidate]:
    return candidates_of({**clients, "claude": ClaudeClient()})


@pytest.mark.parametrize(
    ("tools", "who"),
    [
        ([INTERPRETER], ["storing"]),
        ([OpenAIChatClient.get_web_search_tool()], ["chat", "storing"]),
        ([{"type": "web_search_preview"}], ["chat", "storing"]),
        ([CLAUDES], ["claude"]),
        ([CLAUDES, {"type": "web_search"}], ["chat", "storing", "claude"]),
        ([CLAUDES, {"type": "web_search"}, INTERPRETER], ["storing"]),
        ([{"type": "mcp", "server_label": "a", "server_url": "b"}], ["storing", "claude"]),
        ([OpenAIChatClient.get_file_search_tool(vector_store_ids=["vs_1"])], ["storing"]),
        ([OpenAIChatClient.get_image_generation_tool()], ["storing"]),
        ([{"type": "crystal_ball"}], ["chat"]),
        ([SimpleNamespace(type="code_interpreter")], ["storing"]),
    ],
)
def test_a_step_goes_to_those_whose_class_makes_its_tools(
    pool: dict[str, Candidate], tools: list[Any], who: list[str]
) -> None:
    assert able(tools, pool, "chat") == who


def test_each_is_given_its_own(pool: dict[str, Candidate], weather: FunctionTool) -> None:
    tools = [weather, CLAUDES, {"type": "web_search"}, {"type": "function", "function": {"name": "f"}}]
    given = {name: fitting(tools, candidate, pool["chat"]) for name, candidate in pool.items()}
    assert given["chat"] == given["storing"] == [weather, tools[2], tools[3]]
    assert given["claude"] == [weather, CLAUDES, tools[3]]
    assert [is_hosted(tool) for tool in tools] == [False, True, True, False]


async def test_such_a_step_is_sent_where_its_tool_is_known(routed: Routed, vendors: Vendors) -> None:
    answer = await routed().get_response(said("Hello"), options={"tools": [INTERPRETER]})
    assert account(answer)["model"] == "storing"
    assert [tool["type"] for tool in vendors.received[0].body["tools"]] == ["code_interpreter"]


async def test_a_tool_that_nobody_has_is_told_at_once(routed: Routed, clients: Clients, vendors: Vendors) -> None:
    client = routed(candidates={"chat": clients["chat"]})
    with pytest.raises(ConfigurationError, match=r"no candidate's client makes .* tool code_interpreter; give a"):
        await client.get_response(said("Hello"), options={"tools": [INTERPRETER]})
    with pytest.raises(ConfigurationError, match="providers' own tools: only storing can"):
        await routed().get_response(said("Hello"), options={"tools": [INTERPRETER], "model": "chat"})
    assert asked(vendors) == []


# --- conversations that a provider keeps ----------------------------------------------------------------------------


async def test_nothing_is_kept_at_a_provider_unless_the_call_says_so(routed: Routed, vendors: Vendors) -> None:
    answer = await routed("storing").get_response(said("Hello"))
    assert answer.conversation_id is None
    assert vendors.received[0].body["store"] is False
    assert not routed().STORES_BY_DEFAULT


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_conversation_that_is_kept_goes_on_where_it_is(
    routed: Routed, clients: Clients, vendors: Vendors, *, streamed: bool
) -> None:
    other = OpenAIChatClient(model=CHAT, base_url=vendors.openai_url, api_key="any")
    client = routed("other", candidates={"chat": clients["chat"], "other": other, "storing": clients["storing"]})

    async def ask(text: str, **options: Any) -> Any:
        if streamed:
            return await client.get_response(said(text), options=options, stream=True).get_final_response()
        return await client.get_response(said(text), options=options)

    first = await ask("Hello", store=True, model="storing")
    assert first.conversation_id.startswith("resp_")
    second = await ask("And now?", conversation_id=first.conversation_id)
    assert account(second)["model"] == "storing"
    assert vendors.received[1].body["previous_response_id"] == first.conversation_id
    assert "store" not in vendors.received[1].body
    unknown = await ask("And now?", conversation_id="resp_elsewhere")
    assert account(unknown)["model"] == "other"
    assert asked(vendors) == [STORING, STORING, CHAT]
    assert {request.path for request in vendors.received} == {"/v1/responses"}


async def test_what_is_to_be_kept_goes_to_those_who_keep(routed: Routed) -> None:
    answer = await routed("chat").get_response(said("Hello"), options={"store": True})
    assert account(answer)["model"] == "storing"
    with pytest.raises(ConfigurationError, match="what its provider has stored, or is to store: only storing can"):
        await routed("chat").get_response(said("Hello"), options={"store": True, "model": "chat"})


async def test_a_session_that_is_kept_stays_with_its_provider(routed: Routed, vendors: Vendors) -> None:
    agent = Agent(routed("chat"), default_options={"store": True})
    session = AgentSession()
    await agent.run("Hello", session=session)
    kept = session.service_session_id
    await agent.run("And now?", session=session)
    assert asked(vendors) == [STORING, STORING]
    assert vendors.received[1].body["previous_response_id"] == kept
    assert len(vendors.received[1].body["input"]) == 1


async def test_a_file_that_lies_at_a_provider_goes_to_who_can_find_it(
    routed: Routed, clients: Clients, vendors: Vendors
) -> None:
    asking = [Message("user", ["What is this?", Content.from_hosted_file("file-1")])]
    answer = await routed("chat").get_response(asking)
    assert account(answer)["model"] == "storing"
    assert vendors.received[0].body["input"][0]["content"][1] == {"type": "input_file", "file_id": "file-1"}
    alone = routed(candidates={"chat": clients["chat"]})
    assert account(await alone.get_response(asking))["model"] == "chat"


async def test_approval_is_given_to_the_one_that_asked(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    first = await client.get_response(said("Hello"), options={"model": "storing"})
    hosted: dict[str, Any] = {"hosted": True}
    call = Content("function_call", call_id="mcp_1", name="find", arguments="{}", server_name="docs", **hosted)
    asking = Content.from_function_approval_request(id="apr_1", function_call=call)
    answer = Message("assistant", [*first.messages[0].contents, asking])
    approving = Message("user", [asking.to_function_approval_response(approved=True)])
    conversation = [*said("Hello"), answer, approving]
    setup = Setup(client.router, client._pool, client._authors, {}, None)
    assert Routing(setup, conversation, {}, {}).decision.model == "storing"
    assert Routing(setup, [*conversation, *said("Thanks")], {}, {}).decision.model == "chat"


async def test_an_answer_that_goes_on_at_its_provider_is_asked_for_there(routed: Routed) -> None:
    client = routed()
    options: dict[str, Any] = {"continuation_token": {"response_id": "resp_1"}}
    setup = Setup(client.router, client._pool, client._authors, {}, None)
    routing = Routing(setup, said("Hello"), options, {})
    assert routing.decision.model == "storing"
    _, given, _ = routing.arguments(client._pool["storing"])
    routing.settle(given)
    assert "continuation_token" in options
    del given["continuation_token"]
    routing.settle(given)
    assert options == {}


def test_candidates_of_chat_completions_keep_nothing(clients: Clients) -> None:
    assert isinstance(clients["chat"], OpenAIChatCompletionClient)
    assert [candidate.stores for candidate in candidates_of(clients).values()] == [False, True]
