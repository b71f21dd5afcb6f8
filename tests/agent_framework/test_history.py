"""Conversations that change models: what each candidate sees of what another has said, and what reaches the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agent_framework import ChatResponse, Content, FunctionTool, Message
from tests.standins import Vendors
from tests.standins.brain import THOUGHT

from autogen_taskrouter.agent_framework._candidates import Candidate, candidates_of
from autogen_taskrouter.agent_framework._history import note, transcript_for
from taskrouter.adapters import Author, Authors
from taskrouter.adapters.pairing import INTERRUPTED

from .conftest import CHAT, STORING, Clients, Routed, account, asked, said

THINKING: Any = {"model": "storing", "reasoning": {"effort": "low"}}


@pytest.fixture
def pool(clients: Clients) -> dict[str, Candidate]:
    return candidates_of(clients)


@pytest.fixture
def authors() -> Authors:
    return Authors()


def answered(authors: Authors, model: str, *contents: Content, **properties: Any) -> Message:
    """Return an answer that a candidate gave."""
    message = Message("assistant", list(contents), additional_properties=properties)
    note(authors, ChatResponse(messages=[message]), Author(model, "dec_1"))
    return message


def call(call_id: str, arguments: Any = '{"city": "Oslo"}', **properties: Any) -> Content:
    return Content.from_function_call(call_id, "get_weather", arguments=arguments, additional_properties=properties)


def result(call_id: str, text: str = "sunny", **properties: Any) -> Message:
    return Message("tool", [Content.from_function_result(call_id, result=text, additional_properties=properties)])


def seen(messages: list[Message]) -> list[Any]:
    """Return a conversation as roles with what matters of their contents."""
    return [(message.role, [c.call_id or c.text or c.type for c in message.contents]) for message in messages]


# --- by what is sent ------------------------------------------------------------------------------------------------


async def test_thoughts_stay_with_the_model_that_had_them(routed: Routed, vendors: Vendors) -> None:
    client = routed()
    messages = said("Hello")
    answer = await client.get_response(messages, options=THINKING)
    assert THOUGHT in str([content.to_dict() for message in answer.messages for content in message.contents])
    messages += [*answer.messages, *said("And now?")]
    for model in ("chat", "storing"):
        await client.get_response(messages, options={"model": model})
    to_chat, to_storing = (request.body for request in vendors.received[1:])
    assert THOUGHT not in json.dumps(to_chat)
    assert [message["role"] for message in to_chat["messages"]] == ["user", "assistant", "user"]
    assert [item["type"] for item in to_storing["input"]] == ["message"] * 3
    assert asked(vendors) == [STORING, CHAT, STORING]


async def test_what_is_signed_for_one_model_reaches_it_and_no_other(
    routed: Routed, vendors: Vendors, authors: Authors
) -> None:
    client = routed()
    thought = Content.from_text_reasoning(id="rs_1", text="hm", protected_data="c2VhbGVk")
    vendors.memory.remember(STORING, "rs_1")
    message = answered(client._authors, "storing", thought, call("call_1", fc_id="fc_9"))
    messages = [*said("The weather?"), message, result("call_1", fc_id="fc_9"), *said("And now?")]
    for model in ("storing", "chat"):
        await client.get_response(messages, options={"model": model})
    home, away = (request.body for request in vendors.received)
    kinds = [item["type"] for item in home["input"]]
    assert kinds == ["message", "reasoning", "function_call", "function_call_output", "message"]
    assert home["input"][1]["encrypted_content"] == "c2VhbGVk"
    assert home["input"][2]["id"] == "fc_9"
    assert "c2VhbGVk" not in json.dumps(away)
    assert "fc_9" not in json.dumps(away)
    assert asked(vendors) == [STORING, CHAT]


@pytest.mark.parametrize("incumbent", ["chat", "storing"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_calls_and_results_find_each_other_on_the_other_side(
    routed: Routed, vendors: Vendors, weather: FunctionTool, incumbent: str, *, streamed: bool
) -> None:
    client = routed(incumbent)
    options: Any = {"tools": [weather]}
    asking = said("What is the weather in Oslo?")
    if streamed:
        answer = await client.get_response(asking, options=options, stream=True).get_final_response()
    else:
        answer = await client.get_response(asking, options=options)
    other = "storing" if incumbent == "chat" else "chat"
    messages = [*asking, *answer.messages, *said("And now?")]
    assert account(await client.get_response(messages, options={"model": other}))["model"] == other
    body = vendors.received[-1].body
    if other == "chat":
        first, second = body["messages"][1:3]
        assert first["tool_calls"][0]["id"] == second["tool_call_id"]
    else:
        first, second = body["input"][1:3]
        assert first["call_id"] == second["call_id"]
    assert len(asked(vendors)) == 3
    assert "taskrouter" not in json.dumps([request.body for request in vendors.received])


# --- by the rules ---------------------------------------------------------------------------------------------------


def test_an_answer_of_its_own_comes_back_as_it_was(pool: dict[str, Candidate], authors: Authors) -> None:
    thought = Content.from_text_reasoning(id="rs_1", text="hm", protected_data="x")
    message = answered(authors, "storing", thought, call("call_1", fc_id="fc_1"), group="g")
    given = [*said("Hi"), message, result("call_1", fc_id="fc_1")]
    shown = transcript_for(pool["storing"], given, authors)
    assert [one.to_dict() for one in shown] == [one.to_dict() for one in given]
    for one, other in zip(shown, given, strict=True):
        assert one is not other
        assert one.additional_properties is not other.additional_properties
        assert not {id(content) for content in one.contents} & {id(content) for content in other.contents}


def test_another_ones_answer_is_plain(pool: dict[str, Candidate], authors: Authors) -> None:
    thought = Content.from_text_reasoning(id="rs_1", text="hm", protected_data="x")
    text = Content.from_text("Let me see.", annotations=[{"type": "citation"}], additional_properties={"logprobs": []})
    message = answered(authors, "storing", thought, text, call("call_1", fc_id="fc_1"), reasoning_details="x")
    shown = transcript_for(pool["chat"], [*said("Hi"), message, result("call_1", "sunny", fc_id="fc_1")], authors)
    assert seen(shown) == [("user", ["Hi"]), ("assistant", ["Let me see.", "call_1"]), ("tool", ["call_1"])]
    plain = [*shown[1].contents, *shown[2].contents]
    assert [content.additional_properties for content in plain] == [{}] * 3
    assert [content.annotations for content in plain] == [None] * 3
    assert shown[1].additional_properties == {}
    assert shown[2].contents[0].result == "sunny"


def test_an_answer_of_nobody_known_is_treated_as_another_ones(pool: dict[str, Candidate], authors: Authors) -> None:
    thought = Content.from_text_reasoning(protected_data="not even JSON")
    given = [*said("Hi"), Message("assistant", [thought]), Message("assistant", [thought, Content.from_text("Yes")])]
    for reader in pool.values():
        assert seen(transcript_for(reader, given, authors)) == [("user", ["Hi"]), ("assistant", ["Yes"])]


def test_a_call_without_a_result_gets_one_and_a_result_without_a_call_goes(
    pool: dict[str, Candidate], authors: Authors
) -> None:
    given = [*said("Hi"), result("call_0"), Message("assistant", [call("call_1"), call("call_2")]), result("call_2")]
    shown = transcript_for(pool["chat"], [*given, *said("Go on")], authors)
    expected = [("assistant", ["call_1", "call_2"]), ("tool", ["call_1", "call_2"]), ("user", ["Go on"])]
    assert seen(shown)[1:] == expected
    assert [content.result for content in shown[2].contents] == [INTERRUPTED, "sunny"]


def test_an_id_that_is_taken_twice_or_strange_is_replaced_on_both_sides(
    pool: dict[str, Candidate], authors: Authors
) -> None:
    strange = "functions.get_weather:0"
    given = [
        *said("Hi"),
        Message("assistant", [Content.from_text("Let me see."), call(strange)]),
        result(strange, "one"),
        Message("assistant", [call(strange)]),
        result(strange, "two"),
    ]
    shown = transcript_for(pool["storing"], given, authors)
    calls = [shown[place].contents[-1].call_id for place in (1, 3)]
    assert [shown[place].contents[0].call_id for place in (2, 4)] == calls
    assert len({*calls, strange}) == 3
    assert [shown[place].contents[0].result for place in (2, 4)] == ["one", "two"]
    assert shown[1].text == "Let me see."
    assert given[1].contents[-1].call_id == strange


def test_a_call_whose_arguments_are_no_json_goes_unless_it_was_answered(
    pool: dict[str, Candidate], authors: Authors
) -> None:
    broken = Message("assistant", [call("call_1", '{"city'), call("call_2", {"city": "Oslo"})])
    shown = transcript_for(pool["chat"], [*said("Hi"), broken, result("call_2")], authors)
    assert seen(shown)[1:] == [("assistant", ["call_2"]), ("tool", ["call_2"])]
    alone = Message("assistant", [call("call_1", '{"city')])
    assert seen(transcript_for(pool["chat"], [*said("Hi"), alone], authors))[1:] == [("assistant", ["(no answer)"])]


def test_results_in_one_message_are_told_apart_and_put_together_again(
    pool: dict[str, Candidate], authors: Authors
) -> None:
    both = Message("tool", [*result("call_2", "two").contents, *result("call_1", "one").contents])
    given = [*said("Hi"), Message("assistant", [call("call_1"), call("call_2")]), both]
    shown = transcript_for(pool["chat"], given, authors)
    assert seen(shown)[2:] == [("tool", ["call_1", "call_2"])]
    assert [content.result for content in shown[2].contents] == ["one", "two"]


def test_what_a_provider_ran_is_told_as_text(pool: dict[str, Candidate], authors: Authors) -> None:
    ran = [
        Content.from_code_interpreter_tool_call(call_id="ci_1", inputs=[Content.from_text("6 * 7")]),
        Content.from_code_interpreter_tool_result(call_id="ci_1", outputs=[Content.from_text("42")]),
        Content.from_mcp_server_tool_call(call_id="mcp_1", tool_name="find", server_name="docs"),
        Content.from_mcp_server_tool_result(call_id="mcp_1", output=[Content.from_text("found")]),
        Content.from_mcp_server_tool_result(call_id="mcp_2", output="as text"),
        Content.from_mcp_server_tool_result(call_id="mcp_3", output={"not": "text"}),
        Content.from_shell_tool_result(call_id="sh_1", outputs=[Content.from_shell_command_output(stdout="a.txt")]),
        Content.from_uri("https://example.com/cat.png", media_type="image/png"),
        Content.from_text("It is 42."),
    ]
    message = answered(authors, "storing", *ran)
    shown = transcript_for(pool["chat"], [*said("Hi"), message], authors)
    assert seen(shown)[1:] == [("assistant", ["42", "found", "as text", "a.txt", "[image/png]", "It is 42."])]
    assert len(transcript_for(pool["storing"], [*said("Hi"), message], authors)[1].contents) == len(ran)


def test_what_people_and_applications_wrote_stays(pool: dict[str, Candidate], authors: Authors) -> None:
    picture = Content.from_uri("https://example.com/cat.png", media_type="image/png")
    given = [Message("system", ["Be brief."]), Message("user", ["What is this?", picture], author_name="Ann")]
    shown = transcript_for(pool["chat"], given, authors)
    assert [one.to_dict() for one in shown] == [one.to_dict() for one in given]


def test_results_alone_stand_where_the_provider_has_the_call(pool: dict[str, Candidate], authors: Authors) -> None:
    shown = transcript_for(pool["storing"], [result("call_1")], authors, stored=True)
    assert seen(shown) == [("tool", ["call_1"])]
    assert transcript_for(pool["storing"], [result("call_1")], authors) == []


def test_a_picture_that_a_tool_returned_is_kept_for_those_who_can_show_it(
    pool: dict[str, Candidate], authors: Authors
) -> None:
    picture = Content.from_uri("https://example.com/cat.png", media_type="image/png")
    shot = Content.from_function_result("call_1", result=[Content.from_text("a cat"), picture])
    given = [*said("Hi"), Message("assistant", [call("call_1")]), Message("tool", [shot])]
    (content,) = transcript_for(pool["storing"], given, authors)[2].contents
    assert content.result == "a cat"
    assert [item.type for item in content.items or ()] == ["text", "uri"]
