"""Every way in which the simulated provider fails, as its clients meet it."""

from __future__ import annotations

import json
import logging
import time

import httpx
import jsonschema
import openai
import pytest
from tests.simulator.conftest import ASK

from taskrouter.errors import ConfigurationError
from taskrouter.simulator import FAULTS


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("rate_limit", openai.RateLimitError, 429),
        ("server_error", openai.InternalServerError, 500),
        ("overloaded", openai.InternalServerError, 503),
        ("bad_gateway", openai.InternalServerError, 502),
    ],
)
def test_http_errors(faulty, sim, fault, error, status, stream):
    with pytest.raises(error) as caught:
        faulty(fault, stream=stream)
    assert caught.value.status_code == status
    assert (sim.requests[0].status, sim.requests[0].fault) == (status, fault)


def test_a_rate_limit_says_when_to_come_back(start, client_of):
    client = client_of(start(script=["rate_limit"], faults={"retry_after_s": 2.5}))
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="m", messages=ASK)
    assert caught.value.response.headers["retry-after"] == "2.5"
    assert caught.value.code == "rate_limit_exceeded"


def test_a_bad_gateway_is_a_page_of_html(faulty):
    with pytest.raises(openai.InternalServerError) as caught:
        faulty("bad_gateway")
    assert caught.value.response.headers["content-type"] == "text/html"
    assert caught.value.response.headers["x-taskrouter-simulated"] == "true"


def test_a_timeout_hangs_until_the_client_gives_up(start, client_of):
    server = start(script=["timeout"])
    with pytest.raises(openai.APITimeoutError):
        client_of(server, timeout=0.1).chat.completions.create(model="m", messages=ASK)
    assert server.wait_for(lambda records: records[0].closed_early)


def test_a_timeout_ends_by_itself_after_its_time(start, client_of):
    client = client_of(start(script=["timeout"], faults={"hang_s": 0.05}))
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="m", messages=ASK)
    assert caught.value.status_code == 504


def test_a_cut_stream_just_ends(faulty, sim):
    chunks = list(faulty("cut_stream", stream=True))
    text = "".join(chunk.choices[0].delta.content for chunk in chunks)
    assert text.startswith("1. ")
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)
    assert sim.requests[0].finish_reason is None


def test_a_cut_stream_has_no_end_mark(sim, http, body):
    sim.script("m", "cut_stream")
    assert "[DONE]" not in http.post("/v1/chat/completions", json=body(stream=True)).text


def test_a_stream_cut_after_the_role_holds_nothing_else(faulty):
    (chunk,) = faulty("cut_after_role", stream=True)
    assert (chunk.choices[0].delta.role, chunk.choices[0].delta.content) == ("assistant", "")


def test_a_dropped_connection_breaks_a_stream_in_the_middle(faulty):
    received = []
    with pytest.raises(httpx.RemoteProtocolError):
        received.extend(faulty("drop_connection", stream=True))
    assert len(received) > 1


@pytest.mark.parametrize("fault", ["drop_connection", "cut_stream", "cut_after_role"])
def test_a_plain_answer_is_dropped_in_the_middle_of_its_body(faulty, fault, caplog):
    with caplog.at_level(logging.DEBUG), pytest.raises(openai.APIConnectionError):
        faulty(fault)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_an_empty_answer_is_a_success_without_content(faulty):
    plain = faulty("empty_answer")
    streamed = list(faulty("empty_answer", stream=True))
    assert plain.choices[0].message.content == ""
    assert plain.usage.completion_tokens == 0
    assert [chunk.choices[0].finish_reason for chunk in streamed] == [None, "stop"]


def test_malformed_json_in_a_plain_answer(faulty):
    with pytest.raises(json.JSONDecodeError):
        faulty("malformed_json")


def test_malformed_json_in_a_stream(faulty):
    with pytest.raises(json.JSONDecodeError):
        list(faulty("malformed_json", stream=True))


def test_invalid_tool_calls_cannot_be_run_and_come_in_several_ways(sim, faulty, tool):
    offered = tool()
    ways = set()
    for _ in range(12):
        (call,) = faulty("invalid_tool_call", tools=[offered]).choices[0].message.tool_calls
        ways.add(defect(call, offered["function"]))
    assert ways == {"unknown tool", "no JSON", "wrong shape"}


def defect(call, function):
    if call.function.name != function["name"]:
        return "unknown tool"
    try:
        jsonschema.validate(json.loads(call.function.arguments), function["parameters"])
    except json.JSONDecodeError:
        return "no JSON"
    except jsonschema.ValidationError:
        return "wrong shape"
    return "none"


def test_an_invalid_tool_call_needs_tools(faulty):
    assert faulty("invalid_tool_call").choices[0].message.content.startswith("1. ")


def test_the_sdk_recovers_by_its_own_retries(start, client_of):
    server = start(script=["rate_limit", "overloaded", "ok"], faults={"retry_after_s": 0})
    answer = client_of(server, max_retries=2).chat.completions.create(model="m", messages=ASK)
    assert answer.choices[0].finish_reason == "stop"
    assert [record.status for record in server.requests] == [429, 503, 200]


def test_a_refused_request_uses_up_nothing_of_the_script(start, client_of):
    client = client_of(start(script=["rate_limit"]))
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="m", messages=[])
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="m", messages=ASK)


def statuses(server, body, count=40):
    with httpx.Client() as http:
        return [http.post(f"{server.base_url}/chat/completions", json=body()).status_code for _ in range(count)]


def test_the_same_seed_gives_the_same_faults_and_another_seed_others(start, body):
    rates = {"rate_limit": 0.2, "server_error": 0.2, "overloaded": 0.2}
    first, again, other = (statuses(start(top={"seed": seed}, faults=rates), body) for seed in (1, 1, 2))
    assert first == again != other
    assert set(first) == {200, 429, 500, 503}


def test_reset_starts_the_sequence_of_faults_again(start, body):
    server = start(script=["overloaded"], faults={"rate_limit": 0.5})
    first = statuses(server, body, 10)
    server.reset()
    assert statuses(server, body, 10) == first
    assert first[0] == 503


def test_a_rate_of_one_always_fails(start, body):
    assert statuses(start(faults={"server_error": 1}), body, 5) == [500] * 5


def test_a_script_names_what_it_does_not_know(sim):
    with pytest.raises(ConfigurationError, match="unknown event 'flood'"):
        sim.script("m", "flood")
    with pytest.raises(ConfigurationError, match="no simulated model 'nobody'"):
        sim.script("nobody", "ok")


def test_every_fault_can_be_scripted_and_leaves_the_server_well(sim, http, body, tool):
    with httpx.Client(timeout=0.2) as impatient:
        for fault in FAULTS:
            sim.script("m", fault)
            try:
                impatient.post(f"{sim.base_url}/chat/completions", json=body(stream=True, tools=[tool()]))
            except httpx.TransportError:
                continue
    assert sim.wait_for(lambda records: all(record.done for record in records))
    assert [record.fault for record in sim.requests] == list(FAULTS)
    assert http.post("/v1/chat/completions", json=body()).status_code == 200


def test_a_client_that_leaves_a_stream_is_noticed_and_nothing_more_is_produced(start, client_of, caplog, capfd):
    server = start(top={"speed": 1}, first_token_s=0, output_tokens_per_s=20)
    with caplog.at_level(logging.DEBUG):
        stream = client_of(server).chat.completions.create(model="m", messages=ASK, stream=True)
        next(stream)
        stream.close()
        assert server.wait_for(lambda records: records[0].closed_early and records[0].done)
    record = server.requests[0]
    assert record.completion_tokens < 5
    assert record.finish_reason is None
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert capfd.readouterr().err == ""


def test_a_client_that_leaves_before_a_plain_answer_is_noticed(start, client_of):
    server = start(top={"speed": 1}, first_token_s=60)
    with pytest.raises(openai.APITimeoutError):
        client_of(server, timeout=0.1).chat.completions.create(model="m", messages=ASK)
    assert server.wait_for(lambda records: records[0].closed_early)
    assert server.requests[0].completion_tokens == 0


def test_answers_take_the_time_of_their_model(start, client_of):
    server = start(top={"speed": 0.5}, first_token_s=0.1, output_tokens_per_s=100)
    began = time.perf_counter()
    answer = client_of(server).chat.completions.create(model="m", messages=ASK)
    assert time.perf_counter() - began >= 0.5 * (0.1 + answer.usage.completion_tokens / 100)
