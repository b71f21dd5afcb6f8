"""The spans of a step: their names, parents, attributes and status."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import pytest
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from tests.core.observability.recorder import HELLO, STEP, Recorder, attributes, card, completion

from taskrouter import AllAttemptsFailedError, Attempt, BudgetExceededError, Router, StepContext, hookimpl
from taskrouter import Step as RouterStep
from taskrouter.observability import names as n
from taskrouter.observability.names import provider_name

CONTEXT = StepContext(agent="writer", node="draft", index=3, run_id="run-1", session_id="talk-1", tenant="acme")
PLACED = RouterStep(messages=STEP.messages, task_type="chat", context=CONTEXT)


class Status(Exception):  # noqa: N818 - it plays a client's error with an HTTP status
    def __init__(self, status_code: int) -> None:
        super().__init__("the provider's own words")
        self.status_code = status_code


def failing(*models: str, error: Callable[[], Exception] = ConnectionError) -> Callable[[str], Any]:
    def call(model: str) -> Any:
        if model in models:
            raise error()
        return completion()

    return call


def test_a_step_is_a_route_span_with_a_chat_span_beneath(recorder: Recorder) -> None:
    recorder.router().run(STEP, lambda model: completion())
    assert recorder.tree() == ["route chat", "route chat > chat openai/first"]
    route, chat = recorder.one("route chat"), recorder.one("chat openai/first")
    assert (route.kind, chat.kind) == (SpanKind.INTERNAL, SpanKind.CLIENT)
    assert route.instrumentation_scope is not None
    assert (route.instrumentation_scope.name, route.instrumentation_scope.schema_url) == (n.SCOPE, n.SCHEMA_URL)


def test_the_route_span_says_what_was_decided_and_what_came_of_it(recorder: Recorder) -> None:
    outcome = recorder.router().run(PLACED, lambda model: completion())
    decision = outcome.decision
    assert attributes(recorder.one("route chat")) == {
        "openinference.span.kind": "CHAIN",
        "taskrouter.decision.id": decision.id,
        "taskrouter.decision.model": "first",
        "taskrouter.decision.provider": "openai",
        "taskrouter.decision.reason": "incumbent",
        "taskrouter.decision.plan": "single",
        "taskrouter.decision.candidates": tuple(row.model for row in decision.ranking),
        "taskrouter.decision.scores": tuple(row.score for row in decision.ranking),
        "taskrouter.decision.latency_ms": decision.duration_s * 1e3,
        "taskrouter.decision.propensity": 1.0,
        "taskrouter.policy.name": "safe",
        "taskrouter.policy.version": decision.policy_version,
        "taskrouter.classifier.name": "declared",
        "taskrouter.task.type": "chat",
        "taskrouter.task.complexity": decision.profile.complexity,
        "taskrouter.task.confidence": 1.0,
        "taskrouter.request.model": "first",
        "taskrouter.step.agent": "writer",
        "taskrouter.step.node": "draft",
        "taskrouter.step.index": 3,
        "taskrouter.step.run_id": "run-1",
        "taskrouter.step.tenant": "acme",
        "gen_ai.conversation.id": "talk-1",
        "taskrouter.outcome.model": "first",
        "taskrouter.outcome.provider": "openai",
        "taskrouter.outcome.status": "ok",
        "taskrouter.outcome.check": "none",
        "taskrouter.attempt.count": 1,
        "taskrouter.fallback.used": False,
        "taskrouter.usage.input_tokens": 100,
        "taskrouter.usage.output_tokens": 10,
        "taskrouter.cost.total": pytest.approx((60 * 1.0 + 40 * 0.1 + 10 * 4.0) / 1e6),
        "taskrouter.cost.currency": "USD",
        "taskrouter.cost.baseline": pytest.approx((60 * 1.0 + 40 * 0.1 + 10 * 4.0) / 1e6),
    }


def test_the_chat_span_follows_the_genai_conventions(recorder: Recorder) -> None:
    outcome = recorder.router().run(PLACED, lambda model: completion())
    cost = pytest.approx((60 * 1.0 + 40 * 0.1 + 10 * 4.0) / 1e6)
    assert attributes(recorder.one("chat openai/first")) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "openai/first",
        "gen_ai.conversation.id": "talk-1",
        "server.address": "127.0.0.1",
        "server.port": 9,
        "taskrouter.decision.id": outcome.decision_id,
        "taskrouter.attempt.index": 1,
        "taskrouter.attempt.role": "primary",
        "taskrouter.attempt.served_other": True,
        "gen_ai.response.model": "served-1",
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cost.amount": cost,
        "gen_ai.usage.cost.currency": "USD",
        "gen_ai.usage.cost.source": "catalogue",
        "llm.cost.total": cost,
        "taskrouter.attempt.outcome": "ok",
        "taskrouter.attempt.retries": 0,
    }


def test_a_streamed_call_says_so_and_when_its_first_chunk_came(recorder: Recorder) -> None:
    list(recorder.router().run_stream(STEP, lambda model: iter(HELLO)))
    chat = attributes(recorder.one("chat openai/first"))
    assert chat[n.GENAI_REQUEST_STREAM] is True
    assert chat[n.FIRST_CHUNK] >= 0.0
    assert (chat[n.RESPONSE_ID], chat[n.FINISH_REASONS]) == ("resp_1", ("stop",))


def test_tokens_and_operation_stand_on_attempts_alone(recorder: Recorder) -> None:
    recorder.router().run(PLACED, failing("first"))
    of_convention = {k for k in attributes(recorder.one("route chat")) if k.startswith(("gen_ai.", "llm."))}
    assert of_convention == {n.CONVERSATION_ID}


def test_another_model_is_another_chat_span(recorder: Recorder) -> None:
    recorder.router().run(STEP, failing("first", error=lambda: Status(503)))
    assert recorder.tree() == ["route chat", "route chat > chat openai/first", "route chat > chat openai/second"]
    left, answered = recorder.one("chat openai/first"), recorder.one("chat openai/second")
    assert attributes(left)[n.ERROR_TYPE] == "overloaded"
    assert attributes(left)[n.HTTP_STATUS] == 503
    assert attributes(left)[n.ATTEMPT_OUTCOME] == "failed"
    assert (attributes(answered)[n.ATTEMPT_INDEX], attributes(answered)[n.ATTEMPT_ROLE]) == (2, "fallback")
    assert (left.status.status_code, left.status.description) == (StatusCode.ERROR, "overloaded")
    assert answered.status.status_code is StatusCode.UNSET
    route = recorder.one("route chat")
    assert route.status.status_code is StatusCode.UNSET
    assert attributes(route)[n.FALLBACK_USED] is True
    assert attributes(route)[n.OUTCOME_STATUS] == "fallback"
    assert attributes(route)[n.OUTCOME_MODEL] == "second"


def test_retries_of_one_model_stay_in_one_chat_span(recorder: Recorder) -> None:
    faults = [Status(503), Status(503)]

    def call(model: str) -> Any:
        if faults:
            raise faults.pop()
        return completion()

    recorder.router(execution={"retries": 3}).run(STEP, call)
    assert recorder.tree() == ["route chat", "route chat > chat openai/first"]
    chat, route = recorder.one("chat openai/first"), recorder.one("route chat")
    assert attributes(chat)[n.ATTEMPT_RETRIES] == 2
    assert attributes(chat)[n.ATTEMPT_OUTCOME] == "ok"
    assert n.ERROR_TYPE not in attributes(chat)
    assert (chat.status.status_code, route.status.status_code) == (StatusCode.UNSET, StatusCode.UNSET)
    assert attributes(route)[n.ATTEMPT_COUNT] == 3
    assert attributes(route)[n.FALLBACK_USED] is False


def test_an_exhausted_step_is_an_error_from_the_route_down(recorder: Recorder) -> None:
    with pytest.raises(AllAttemptsFailedError):
        recorder.router().run(STEP, failing("first", "second"))
    route = recorder.one("route chat")
    assert [span.status.status_code for span in recorder.spans] == [StatusCode.ERROR] * 3
    assert attributes(route)[n.OUTCOME_STATUS] == "exhausted"
    assert n.OUTCOME_MODEL not in attributes(route)
    assert n.COST_BASELINE not in attributes(route), "no answer, so nothing to compare its price with"


async def test_a_cancelled_step_is_no_error(recorder: Recorder) -> None:
    started = asyncio.Event()

    async def call(model: str) -> Any:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(recorder.router().arun(STEP, call))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [span.status.status_code for span in recorder.spans] == [StatusCode.UNSET] * 2
    assert attributes(recorder.one("route chat"))[n.OUTCOME_STATUS] == "cancelled"
    assert attributes(recorder.one("chat openai/first"))[n.ATTEMPT_OUTCOME] == "cancelled"


def test_an_interrupted_step_is_no_error(recorder: Recorder) -> None:
    with pytest.raises(KeyboardInterrupt):
        recorder.router().run(STEP, failing("first", error=KeyboardInterrupt))  # type: ignore[arg-type]
    assert [span.status.status_code for span in recorder.spans] == [StatusCode.UNSET] * 2


def test_no_exception_is_recorded_as_an_event(recorder: Recorder) -> None:
    recorder.router().run(STEP, failing("first"))
    assert [span.events for span in recorder.spans] == [()] * 3


def test_a_failed_answer_that_was_paid_for_counts_in_usage_and_cost(recorder: Recorder) -> None:
    outcome = recorder.router().run(STEP, lambda model: completion("" if model == "first" else "hi"))
    route = attributes(recorder.one("route chat"))
    one_call = (60 * 1.0 + 40 * 0.1 + 10 * 4.0) / 1e6
    assert (route[n.USAGE_INPUT], route[n.USAGE_OUTPUT]) == (200, 20)
    assert route[n.COST_TOTAL] == outcome.cost_usd == pytest.approx(2 * one_call)
    assert route[n.COST_BASELINE] == pytest.approx(one_call), "the incumbent alone would have been asked once"
    chats = [attributes(s) for s in recorder.spans if s.name.startswith("chat")]
    assert sum(c[n.INPUT_TOKENS] for c in chats) == route[n.USAGE_INPUT]
    assert sum(c[n.COST_AMOUNT] for c in chats) == pytest.approx(route[n.COST_TOTAL])


def test_the_baseline_is_the_incumbents_price_of_the_same_answer(recorder: Recorder) -> None:
    pool = [card("first", input_usd_per_million=10.0, output_usd_per_million=50.0), card("second")]
    recorder.router(pool).run(STEP, failing("first"))
    route = attributes(recorder.one("route chat"))
    assert route[n.COST_BASELINE] == pytest.approx((60 * 10.0 + 40 * 0.1 + 10 * 50.0) / 1e6)


def test_an_unknown_price_leaves_the_cost_out_instead_of_counting_zero(recorder: Recorder) -> None:
    pool = [card("first", input_usd_per_million=None), card("second")]
    recorder.router(pool).run(STEP, lambda model: completion())
    costs = {key for span in recorder.spans for key in attributes(span) if "cost" in key}
    assert costs == set()


def test_estimated_tokens_are_marked_by_the_source_of_their_cost(recorder: Recorder) -> None:
    recorder.router().run(STEP, lambda model: completion(usage=None))
    assert attributes(recorder.one("chat openai/first"))[n.COST_SOURCE] == "estimated"


def test_where_a_framework_reports_usage_attempts_are_marked_as_chains(recorder: Recorder) -> None:
    recorder.router(telemetry={"usage_owner": "framework"}).run(STEP, lambda model: completion())
    assert attributes(recorder.one("chat openai/first"))[n.OPENINFERENCE_KIND] == "CHAIN"


def test_the_route_nests_under_the_applications_span(recorder: Recorder) -> None:
    router = recorder.router()
    with recorder.span("agent"):
        router.run(STEP, lambda model: completion())
    assert recorder.tree() == ["agent", "agent > route chat", "agent > route chat > chat openai/first"]


def child(recorder: Recorder, model: str) -> Any:
    with recorder.span("POST"):
        if model == "first":
            raise ConnectionError
        return completion()


def test_http_spans_nest_under_the_call_that_made_them(recorder: Recorder) -> None:
    recorder.router().run(STEP, lambda model: child(recorder, model))
    assert [path for path in recorder.tree() if path.endswith("POST")] == [
        "route chat > chat openai/first > POST",
        "route chat > chat openai/second > POST",
    ]


async def test_http_spans_nest_under_the_awaited_call_that_made_them(recorder: Recorder) -> None:
    async def call(model: str) -> Any:
        await asyncio.sleep(0)
        return child(recorder, model)

    with recorder.span("agent") as agent:
        await recorder.router().arun(STEP, call)
        assert get_current_span() is agent
    assert [path for path in recorder.tree() if path.endswith("POST")] == [
        "agent > route chat > chat openai/first > POST",
        "agent > route chat > chat openai/second > POST",
    ]


async def test_a_coroutine_closed_outside_its_task_ends_its_spans_quietly(recorder: Recorder) -> None:
    async def call(model: str) -> Any:
        await asyncio.Event().wait()

    running = recorder.router().arun(STEP, call)
    copy_context().run(running.send, None)
    running.close()
    assert attributes(recorder.one("route chat"))[n.OUTCOME_STATUS] == "cancelled"


def test_our_own_backend_reports_the_server_it_calls(recorder: Recorder, pool: list[dict[str, Any]]) -> None:
    with recorder.router(pool) as router:
        outcome = router.complete(PLACED)
    chat = attributes(recorder.one("chat first"))
    assert f"http://{chat[n.SERVER_ADDRESS]}:{chat[n.SERVER_PORT]}/v1" == pool[0]["base_url"]
    assert chat[n.RESPONSE_MODEL] == "first"
    assert chat[n.INPUT_TOKENS] == outcome.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("https://models.example.com/v1", "models.example.com", 443),
        ("http://models.example.com/v1", "models.example.com", 80),
        ("https://user:secret@models.example.com:8443/v1", "models.example.com", 8443),
        (None, None, None),
    ],
)
def test_address_and_port_come_from_the_base_url(
    recorder: Recorder, url: str | None, address: str | None, port: int | None
) -> None:
    recorder.router([card("first", base_url=url)]).run(STEP, lambda model: completion())
    chat = attributes(recorder.one("chat openai/first"))
    assert (chat.get(n.SERVER_ADDRESS), chat.get(n.SERVER_PORT)) == (address, port)


@pytest.mark.parametrize(
    ("provider", "model", "name"),
    [
        ("azure", "azure/gpt", "azure.ai.openai"),
        ("gemini", "gemini/pro", "gcp.gemini"),
        ("bedrock", "bedrock/claude", "aws.bedrock"),
        (None, "anthropic/claude", "anthropic"),
        (None, "together_ai/llama", "together_ai"),
        (None, "llama", "unknown"),
    ],
)
def test_providers_go_by_the_conventions_names(provider: str | None, model: str, name: str) -> None:
    assert provider_name(provider, model) == name


def test_a_sampler_sees_at_the_start_what_was_decided(recorder: Recorder) -> None:
    seen: dict[str, Any] = {}

    class Curious(sampling.StaticSampler):
        def should_sample(self, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
            _, _, name, _, attributes, *_ = args
            seen[name] = attributes
            return super().should_sample(*args, **kwargs)

    recorder.tracers.sampler = Curious(sampling.Decision.RECORD_AND_SAMPLE)
    recorder.router().run(PLACED, lambda model: completion())
    assert seen["route chat"][n.STEP_TENANT] == "acme"
    assert seen["route chat"][n.DECISION_MODEL] == "first"
    assert seen["chat openai/first"][n.ATTEMPT_ROLE] == "primary"


# --- deployments, hedges, and steps that were never called ------------------------------------------------------------


def test_every_deployment_that_is_turned_to_has_a_span_and_is_no_fallback(recorder: Recorder) -> None:
    deployments = [{"name": "a", "base_url": "http://127.0.0.1:8/v1"}, {"name": "b"}]
    pool = [card("first", deployments=deployments), card("second")]
    faults = [ConnectionError()]

    def call(model: str) -> Any:
        if faults:
            raise faults.pop()
        return completion()

    recorder.router(pool).run(STEP, call)
    assert recorder.tree() == ["route chat", *["route chat > chat openai/first"] * 2]
    chats = sorted((s for s in recorder.spans if s.name.startswith("chat")), key=lambda s: s.start_time or 0)
    by_name = {attributes(s)[n.ATTEMPT_DEPLOYMENT]: attributes(s) for s in chats}
    assert {name: chat[n.SERVER_PORT] for name, chat in by_name.items()} == {"a": 8, "b": 9}
    assert [attributes(s)[n.ATTEMPT_ROLE] for s in chats] == ["primary", "primary"]
    assert [s.status.status_code for s in chats] == [StatusCode.ERROR, StatusCode.UNSET]
    route = attributes(recorder.one("route chat"))
    assert (route[n.OUTCOME_STATUS], route[n.FALLBACK_USED], route[n.OUTCOME_MODEL]) == ("ok", False, "first")
    assert n.FALLBACKS not in recorder.points()


def test_a_call_that_is_made_because_nothing_better_is_left_says_so(recorder: Recorder) -> None:
    router = recorder.router([card("first")], health={"failures": 1})
    with pytest.raises(AllAttemptsFailedError):
        router.run(STEP, failing("first"))
    router.run(STEP, failing())
    assert [attributes(s).get(n.ATTEMPT_FORCED) for s in recorder.spans if s.name.startswith("chat")] == [None, True]


def test_a_step_that_is_refused_before_its_first_call_is_an_exhausted_route(recorder: Recorder) -> None:
    router = recorder.router()
    decision = router.route(STEP)
    with router.budget(usd=1e-9), pytest.raises(BudgetExceededError):
        router.run(STEP, failing(), decision=decision)
    assert recorder.tree() == ["route chat"]
    route = recorder.one("route chat")
    assert (route.status.status_code, route.status.description) == (StatusCode.ERROR, "exhausted")
    assert attributes(route)[n.ATTEMPT_COUNT] == 0
    assert attributes(route)[n.OUTCOME_STATUS] == "exhausted"


def hedging(recorder: Recorder, *plugins: object) -> Router:
    """A router that has seen the first model answer at once, and hedges what takes longer."""
    router = recorder.router(execution={"hedge_quantile": 0.9}, plugins=plugins)
    for _ in range(30):
        router._health.admit("first", time.monotonic())
        router._health.succeeded("first", time.monotonic(), latency_s=0.01)
    return router


def check_hedge(recorder: Recorder) -> None:
    """The first call lost, its hedge won; both have a span in the right place, with their HTTP spans beneath."""
    above = "agent > route chat > chat openai/"
    assert sorted(recorder.tree()) == sorted(
        ["agent", "agent > route chat", *(f"{above}{m}{call}" for m in ("first", "second") for call in ("", " > POST"))]
    )
    lost, won, route = (recorder.one(name) for name in ("chat openai/first", "chat openai/second", "route chat"))
    assert [attributes(s)[n.ATTEMPT_ROLE] for s in (lost, won)] == ["primary", "hedge"]
    assert [attributes(s)[n.ATTEMPT_OUTCOME] for s in (lost, won)] == ["cancelled", "ok"]
    assert [attributes(s)[n.ATTEMPT_INDEX] for s in (lost, won)] == [1, 2]
    assert all(s.status.status_code is StatusCode.UNSET for s in (lost, won, route))
    found = attributes(route)
    assert (found[n.OUTCOME_STATUS], found[n.OUTCOME_MODEL], found[n.ATTEMPT_COUNT]) == ("ok", "second", 2)
    assert found[n.FALLBACK_USED] is False
    assert found[n.COST_TOTAL] == pytest.approx(sum(attributes(s)[n.COST_AMOUNT] for s in (lost, won)))
    assert n.FALLBACKS not in recorder.points()


async def test_a_hedged_step_has_a_span_for_each_call(recorder: Recorder) -> None:
    async def call(model: str) -> Any:
        with recorder.span("POST"):
            if model == "first":
                await asyncio.Event().wait()
            return completion()

    with recorder.span("agent") as agent:
        await hedging(recorder).arun(STEP, call)
        assert get_current_span() is agent
    check_hedge(recorder)


def test_a_step_that_is_hedged_in_threads_has_a_span_for_each_call(recorder: Recorder) -> None:
    release, finished = threading.Event(), threading.Event()

    def call(model: str) -> Any:
        with recorder.span("POST"):
            if model == "first":
                assert release.wait(60)
        if model == "first":
            finished.set()
        return completion()

    with recorder.span("agent") as agent:
        hedging(recorder).run(STEP, call)
        assert get_current_span() is agent
    release.set()
    assert finished.wait(60)
    check_hedge(recorder)


def test_a_first_call_that_fails_beside_its_hedge_is_an_error_in_its_own_span(recorder: Recorder) -> None:
    both, booked = threading.Event(), threading.Event()

    class Watch:
        @hookimpl
        def taskrouter_attempted(self, attempt: Attempt) -> None:
            booked.set()

    def call(model: str) -> Any:
        if model == "second":
            both.set()
            assert booked.wait(60)
            return completion()
        assert both.wait(60)
        raise Status(401)

    hedging(recorder, Watch()).run(STEP, call)
    first, second = recorder.one("chat openai/first"), recorder.one("chat openai/second")
    assert (first.status.status_code, first.status.description) == (StatusCode.ERROR, "unauthenticated")
    assert second.status.status_code is StatusCode.UNSET
    assert attributes(recorder.one("route chat"))[n.OUTCOME_STATUS] == "ok"
