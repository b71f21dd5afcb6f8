"""A secret in everything that is private: none is in any byte that leaves, unless somebody has asked for content.

The places, the secrets and the hunt are in `canaries.py`. Here a router is put through all that can happen to a step.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.core.canaries import (
    ANSWERED,
    ASKED,
    CONTENT,
    MESSAGES,
    MODELS,
    NEVER,
    SCHEMA,
    SECRET,
    STEMS,
    Hunt,
    Provider,
    completion,
    pool,
    providing,
    raise_error,
    step,
)
from tests.core.observability.collector import Collector, collecting
from typer.testing import CliRunner

from taskrouter import ConfigurationError, Decision, FeedbackError, Plan, Router, Step, TaskRouterError, hookimpl
from taskrouter.cli.app import build

MODES = ("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT")
EXTREMES = ("NO_CONTENT", "SPAN_AND_EVENT")


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with providing() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    running.received.clear()
    running.reached.clear()
    return running


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture(params=EXTREMES)
def hunt(
    request: pytest.FixtureRequest, collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hunt]:
    monkeypatch.setenv("CANARY_KEY", SECRET["key"])
    monkeypatch.setenv("OPENAI_API_KEY", SECRET["environment"])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={SECRET['environment']}")
    root, ours = logging.getLogger(), logging.getLogger("taskrouter")
    level = ours.level
    collector.requests.clear()
    hunting = Hunt(collector, tmp_path, request.param)
    root.addHandler(hunting)
    ours.setLevel(logging.DEBUG)
    try:
        yield hunting
    finally:
        root.removeHandler(hunting)
        ours.setLevel(level)
        hunting.end()


def towards(router: Router, model: str, asked: Step, *, fallbacks: tuple[str, ...] = ("good",)) -> Decision:
    """A decision for a model, whatever is wrong with it."""
    return dataclasses.replace(router.route(asked), plan=Plan(models=(model,)), fallbacks=fallbacks)


def suffered(hunt: Hunt, work: Callable[[], Any]) -> Any:
    """Do something that may fail, and look at how."""
    try:
        return work()
    except TaskRouterError as error:
        hunt.see_error(error)
        return None


async def endured(hunt: Hunt, work: Callable[[], Any]) -> Any:
    try:
        return await work()
    except TaskRouterError as error:
        hunt.see_error(error)
        return None


# --- through our own backends, over HTTP ------------------------------------------------------------------------------


def complete(hunt: Hunt, router: Router, asked: Step, decision: Decision) -> None:
    hunt.see(suffered(hunt, lambda: router.complete(asked, decision=decision)))


def acomplete(hunt: Hunt, router: Router, asked: Step, decision: Decision) -> None:
    async def run() -> None:
        hunt.see(await endured(hunt, lambda: router.acomplete(asked, decision=decision)))

    asyncio.run(run())


def stream(hunt: Hunt, router: Router, asked: Step, decision: Decision) -> None:
    streaming = router.stream(asked, decision=decision)
    suffered(hunt, lambda: list(streaming))
    hunt.see(streaming, streaming.outcome)


def astream(hunt: Hunt, router: Router, asked: Step, decision: Decision) -> None:
    async def run() -> None:
        streaming = router.astream(asked, decision=decision)

        async def read() -> list[Any]:
            return [chunk async for chunk in streaming]

        await endured(hunt, read)
        hunt.see(streaming, streaming.outcome)

    asyncio.run(run())


@pytest.mark.parametrize("way", [complete, acomplete, stream, astream])
def test_no_secret_leaves_whatever_the_provider_does(hunt: Hunt, provider: Provider, way: Callable[..., None]) -> None:
    with hunt.router(pool(provider.port, *MODELS), incumbent="good") as router:
        for model in MODELS:
            if model != "hanging":
                asked = step()
                hunt.see(asked, asked.context, asked.view is None)
                way(hunt, router, asked, towards(router, model, asked))
                way(hunt, router, asked, towards(router, model, asked, fallbacks=()))
    sent = "\n".join(provider.received)
    assert [name for name in (*ASKED, "header", "parameter", "payload") if SECRET[name] not in sent] == []
    assert hunt.leaks() == set()
    assert {name for place, name in hunt.found() if place in ("traces", "events")} >= (
        set() if hunt.mode == "NO_CONTENT" else set(CONTENT)
    )


@pytest.mark.parametrize("hunt", MODES, indirect=True)
def test_content_is_where_it_was_asked_for_and_nowhere_else(hunt: Hunt, provider: Provider) -> None:
    with hunt.router(pool(provider.port, "calling")) as router:
        router.complete(step())
    places = {"traces": "SPAN" in hunt.mode, "events": "EVENT" in hunt.mode}
    wanted = {(place, name) for place, asked_for in places.items() if asked_for for name in CONTENT}
    assert {pair for pair in hunt.found() if pair[1] in CONTENT} == wanted


def test_litellm_leaves_nothing(hunt: Hunt, provider: Provider) -> None:
    models = [{**card, "backend": "litellm", "model": f"openai/{card['id']}"} for card in pool(provider.port, *MODELS)]
    with hunt.router(models, incumbent="good") as router:
        for model in ("good", "refusing", "failing", "nonsense"):
            asked = step()
            complete(hunt, router, asked, towards(router, model, asked))
            stream(hunt, router, asked, towards(router, model, asked, fallbacks=()))
    assert SECRET["user"] in "\n".join(provider.received)
    assert hunt.leaks() == set()


def test_a_schema_for_the_answer_leaves_nothing(hunt: Hunt, provider: Provider) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "string", "const": SECRET["schema"]}}}
    with hunt.router(pool(provider.port, "good")) as router:
        suffered(hunt, lambda: router.complete(step(response_schema=schema, tools=())))
    assert SECRET["schema"] in "\n".join(provider.received)
    assert hunt.leaks() == set()


def test_retries_and_warming_up_leave_nothing(hunt: Hunt, provider: Provider) -> None:
    with hunt.router(pool(provider.port, "good", "failing"), execution={"retries": 2}) as router:
        hunt.see(router.warm(timeout_s=5))
        asked = step()
        hunt.see(router.complete(asked, decision=towards(router, "failing", asked)))
        hunt.see(router.health())
    assert hunt.leaks() == set()


def test_a_step_that_nothing_answers_leaves_nothing(hunt: Hunt, provider: Provider) -> None:
    with hunt.router(pool(provider.port, "failing", "refusing", "denied")) as router:
        with pytest.raises(ExceptionGroup) as caught:
            router.complete(step())
        hunt.see_error(caught.value)
        hunt.see(router.health())
    assert hunt.leaks() == set()


# --- given up ---------------------------------------------------------------------------------------------------------


def test_a_call_that_is_cancelled_leaves_nothing(hunt: Hunt, provider: Provider) -> None:
    async def run(router: Router) -> None:
        task = asyncio.create_task(router.acomplete(step()))
        await asyncio.to_thread(provider.reached.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hunt.see(task)
        await router.aclose()

    asyncio.run(run(hunt.router(pool(provider.port, "hanging"))))
    assert hunt.leaks() == set()
    assert ("traces", "user") in hunt.found() or "SPAN" not in hunt.mode


@pytest.mark.parametrize("ended", ["closed", "forgotten"])
def test_a_stream_that_is_given_up_leaves_nothing(hunt: Hunt, provider: Provider, ended: str) -> None:
    with hunt.router(pool(provider.port, "good")) as router:
        streaming = router.stream(step())
        hunt.see(next(iter(streaming)) is None, streaming)
        if ended == "closed":
            streaming.close()
            hunt.see(streaming)
        del streaming
        gc.collect()
    assert hunt.leaks() == set()


# --- through the caller's own clients ---------------------------------------------------------------------------------

FAILURES: tuple[Callable[[], Any], ...] = (
    lambda: raise_error(400),
    lambda: raise_error(429),
    lambda: raise_error(None),
    lambda: completion("invalid"),
    lambda: completion("empty"),
    lambda: SECRET["error_text"].no_such_attribute,  # type: ignore[attr-defined]
    lambda: _refuse(KeyError(SECRET["error_text"])),
    lambda: _refuse(ConnectionError(SECRET["error_text"])),
    lambda: _refuse(TimeoutError(SECRET["error_text"])),
    lambda: _refuse(RuntimeError(SECRET["error_text"])),
)


def _refuse(error: Exception) -> Any:
    raise error


def test_no_secret_of_the_callers_clients_leaves(hunt: Hunt) -> None:
    with hunt.router(pool(9, "first", "second")) as router:
        for failure in FAILURES:
            for fallback in ("calling", None):

                def call(model: str, failure: Any = failure, fallback: Any = fallback) -> Any:
                    return failure() if model == "first" or fallback is None else completion(fallback)

                async def acall(model: str, call: Any = call) -> Any:
                    return call(model)

                hunt.see(suffered(hunt, lambda call=call: router.run(step(), call)))  # type: ignore[misc]
                hunt.see(asyncio.run(endured(hunt, lambda acall=acall: router.arun(step(), acall))))  # type: ignore[misc]
    assert hunt.leaks() == set()


def test_no_secret_of_the_callers_streams_leaves(hunt: Hunt) -> None:
    def broken(late: bool) -> Callable[[str], Iterator[Any]]:
        def opened(model: str) -> Iterator[Any]:
            if late:
                chunk = completion("calling", "delta")
                chunk["choices"][0]["finish_reason"] = None
                yield chunk
            raise_error(500)

        return opened

    def abroken(late: bool) -> Callable[[str], AsyncIterator[Any]]:
        async def opened(model: str) -> AsyncIterator[Any]:
            for chunk in broken(late)(model):
                yield chunk

        return opened

    async def read(streaming: Any) -> list[Any]:
        return [chunk async for chunk in streaming]

    with hunt.router(pool(9, "first", "second")) as router:
        for late in (False, True):
            streaming = router.run_stream(step(), broken(late))
            suffered(hunt, lambda streaming=streaming: list(streaming))  # type: ignore[misc]
            hunt.see(streaming, streaming.outcome)
            waiting = router.arun_stream(step(), abroken(late))
            asyncio.run(endured(hunt, lambda waiting=waiting: read(waiting)))  # type: ignore[misc]
            hunt.see(waiting, waiting.outcome)
    assert hunt.leaks() == set()


@pytest.mark.parametrize("agreed", [True, False])
def test_models_that_are_compared_leave_nothing(hunt: Hunt, agreed: bool) -> None:
    def call(model: str) -> Any:
        answer = completion("good")
        if not agreed:
            answer["choices"][0]["message"]["content"] = f"{SECRET['answer']} of {model}"
        return answer

    with hunt.router(pool(9, "a", "b", "c")) as router:
        asked = step(tools=(), task_type="closed_qa")
        plan = Plan(kind="agree", models=("a", "b", "c"))
        decision = dataclasses.replace(router.route(asked), plan=plan, fallbacks=())
        hunt.see(router.run(asked, call, decision=decision))
    assert hunt.leaks() == set()


# --- around the calls -------------------------------------------------------------------------------------------------


def test_steps_that_cannot_be_decided_leave_nothing(hunt: Hunt) -> None:
    long = step(messages=[{"role": "user", "content": SECRET["user"] * 100_000}])
    rules = [{"name": "nowhere", "when": {"tags": [SECRET["tag"]]}, "regions": ["moon"]}]
    odd = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": SECRET["parameter_description"]}}},
        {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": 7}}}}},
        {"type": "function", "function": {"name": "f", "parameters": {"const": object(), "title": SECRET["schema"]}}},
    ]
    with hunt.router(pool(9, "first")) as router, hunt.router(pool(9, "first"), rules=rules) as barred:
        suffered(hunt, lambda: router.run(long, completion))
        suffered(hunt, lambda: barred.run(step(), completion))
        for tool in odd:
            suffered(hunt, lambda tool=tool: router.run(step(tools=[tool]), lambda model: completion("good")))  # type: ignore[misc]
        with router.budget(usd=1e-9):
            suffered(hunt, lambda: router.run(step(), lambda model: completion("good")))
    for messages in (
        [{"content": SECRET["user"]}],
        SECRET["user"],
        [SECRET["user"]],
        [{"role": "user", "content": [7]}],
    ):
        suffered(hunt, lambda messages=messages: step(messages=messages))  # type: ignore[misc]
    assert hunt.leaks() == set()


def test_feedback_leaves_nothing(hunt: Hunt) -> None:
    with hunt.router(pool(9, "first")) as router:
        outcome = router.run(step(), lambda model: completion("calling"))
        router.feedback(outcome.decision_id, 1.0)
        router.feedback_run(SECRET["run"], 0.5, source="judge")
        hunt.see(router.learning, router.learn(), router.health())
        with pytest.raises(FeedbackError) as unknown:
            router.feedback(SECRET["answer"], 1.0)
        with pytest.raises(FeedbackError) as nobody:
            router.feedback_run(SECRET["answer"], 1.0)
        with pytest.raises(FeedbackError) as source:
            router.feedback(outcome.decision_id, 1.0, source=f"{SECRET['answer']}!")
        for caught in (unknown, nobody, source):
            hunt.see_error(caught.value)
    assert hunt.leaks() == set()


class Clumsy:
    """A plugin all of whose parts fail, and quote what they were given."""

    @hookimpl
    def taskrouter_decided(self, decision: Decision) -> None:
        raise RuntimeError(SECRET["user"])

    @hookimpl
    def taskrouter_attempted(self) -> None:
        raise_error()

    @hookimpl
    def taskrouter_completed(self, outcome: Any) -> None:
        raise RuntimeError(outcome.text + SECRET["answer"])

    @hookimpl
    def taskrouter_validators(self) -> Any:
        return {"own": lambda step, view: _refuse(RuntimeError(view.text + SECRET["answer"]))}

    @hookimpl
    def taskrouter_answers(self) -> Any:
        return {"own": lambda step, view: _refuse(RuntimeError(view.text + SECRET["answer"]))}

    @hookimpl
    def taskrouter_redactors(self) -> Any:
        return {"own": lambda text: _refuse(RuntimeError(text))}


def test_a_plugin_that_fails_and_quotes_what_it_was_given_leaves_nothing(hunt: Hunt) -> None:
    with hunt.router(pool(9, "a", "b", "c"), plugins=(Clumsy(),), gates={"validator_error": "accept"}) as router:
        asked = step(tools=(), task_type="closed_qa")
        decision = dataclasses.replace(router.route(asked), plan=Plan(kind="agree", models=("a", "b", "c")))
        hunt.see(suffered(hunt, lambda: router.run(asked, lambda model: completion("calling"), decision=decision)))
        hunt.see(suffered(hunt, lambda: router.run(step(), lambda model: completion("calling"))))
    assert hunt.leaks() == set()
    assert {name for _, name in hunt.found()} & set(CONTENT) == set(), "what cannot be redacted is left out"


SHADOW = {"share": 1.0, "judge": "good", "usd_per_day": 100}


def with_a_cheaper_one(provider: Provider) -> list[dict[str, Any]]:
    cheap = {"input_usd_per_million": 0.1, "output_usd_per_million": 0.1}
    return [*pool(provider.port, "good"), {**pool(provider.port, "other")[0], **cheap}]


def test_shadows_and_judges_leave_nothing(hunt: Hunt, provider: Provider) -> None:
    with hunt.router(with_a_cheaper_one(provider), shadow=SHADOW) as router:
        assert router.shadow is not None
        hunt.see(router.complete(step(tools=())))
        assert router.shadow.wait(30)
        hunt.see(router.shadow, router.learning)
    assert len(provider.received) >= 3, "the shadow was asked, and the judge"
    assert hunt.leaks() == set()


def test_a_labeller_that_is_asked_leaves_nothing(hunt: Hunt, provider: Provider) -> None:
    labeller = {"name": "llm", "model": "good", "usd_per_day": 100}
    with hunt.router(pool(provider.port, "good"), profiling={"labeller": labeller, "confidence_floor": 1.0}) as router:
        assert router.labelling is not None
        messages = [{"role": "system", "content": f"{SECRET['system']} zrt plmk"}, {"role": "user", "content": "fgh"}]
        hunt.see(router.complete(step(messages=messages, tools=())))
        assert router.labelling.wait(30)
        hunt.see(router.labelling, router.labelling.status)
    assert len(provider.received) >= 2, "the labeller was asked"
    assert hunt.leaks() == set()


def test_a_step_that_is_private_leaves_nothing_even_where_content_is_captured(hunt: Hunt, provider: Provider) -> None:
    rules = [{"name": "private", "when": {"agent": "writer"}, "sensitivity": "secret"}]
    with hunt.router(with_a_cheaper_one(provider), rules=rules, shadow=SHADOW) as router:
        assert router.shadow is not None
        hunt.see(router.complete(step(tools=())))
        assert router.shadow.wait(30)
    assert len(provider.received) >= 3
    assert {name for _, name in hunt.found()} & {*CONTENT, *NEVER} == set()


# --- what people read -------------------------------------------------------------------------------------------------


def test_reports_and_explanations_show_nothing(hunt: Hunt, provider: Provider, tmp_path: Path) -> None:
    with hunt.router(pool(provider.port, "calling", "failing")) as router:
        asked = step()
        outcome = router.complete(asked)
        suffered(hunt, lambda: router.complete(asked, decision=towards(router, "failing", asked, fallbacks=())))
        router.feedback(outcome.decision_id, 1.0)
    page = tmp_path.parent / f"{tmp_path.name}.html"
    commands = [
        ["explain", outcome.decision_id, "--state", hunt.url],
        ["explain", "last", "--state", hunt.url, "--json"],
        ["report", "--state", hunt.url, "--json"],
        ["report", "--state", hunt.url, "--out", str(page)],
        ["top", "--once", "--state", hunt.url],
    ]
    for command in commands:
        done = CliRunner().invoke(build(), command)
        assert done.exit_code == 0, (command, done.output)
        hunt.report(done.output)
    hunt.report(page.read_text(encoding="utf-8"))
    assert hunt.leaks() == set()


def test_a_configuration_prints_no_secret(hunt: Hunt) -> None:
    deployments = [{"name": "eu", "base_url": f"http://u:{SECRET['password']}@h/v1?key={SECRET['query']}"}]
    with hunt.router([{**pool(9, "first")[0], "deployments": deployments}]) as router:
        hunt.see(router, router.models, *router.models.values(), *router.models["first"].deployments)
    wrong: list[dict[str, Any]] = [
        {"models": [{"id": "a", "base_url": f"me:{SECRET['password']}@host"}]},
        {"models": [{"id": "a", "api_key": SECRET["key"]}]},
        {"models": [{"id": "a", "params": SECRET["parameter"]}]},
        {"models": pool(9, "a"), "state": {"url": f"nothing://me:{SECRET['password']}@host"}},
        {"models": pool(9, "a"), "state": {"url": f"redis://me:{SECRET['password']}@host:port/0"}},
    ]
    for config in wrong:
        with pytest.raises(ConfigurationError) as caught:
            Router(config=config)
        hunt.see_error(caught.value)
    assert hunt.leaks() == set()


# --- the hunt itself --------------------------------------------------------------------------------------------------


def test_the_hunt_would_find_a_secret_by_every_way(hunt: Hunt, provider: Provider) -> None:
    telling = step(context=dataclasses.replace(step().context, agent=SECRET["user"], tenant=SECRET["answer"]))
    with hunt.router(pool(provider.port, "good")) as router:
        router.complete(telling)
        hunt.report(SECRET["system"])
        hunt.see(SECRET["system"])
        hunt.see_error(TaskRouterError(SECRET["system"]))
    logging.getLogger("taskrouter.routing").debug("%s", SECRET["key"])
    try:
        raise_error()
    except Exception:
        logging.getLogger("taskrouter.tests").exception("it failed")
    found = hunt.found()
    assert {("traces", "user"), ("logs", "user"), ("ledger", "answer"), ("logs", "key")} <= found
    assert {("reports", "system"), ("prints", "system"), ("errors", "system")} <= found
    assert {("logs", "error_text"), ("logs", "cause")} <= found
    assert hunt.haul()["metrics"], "metrics were sent"
    assert hunt.leaks() >= {("ledger", "answer"), ("logs", "key")}


def test_every_secret_is_another_one_and_all_of_them_are_used(provider: Provider) -> None:
    assert len(set(STEMS.values())) == len(STEMS)
    hidden = json.dumps([MESSAGES, SCHEMA]) + repr(step().messages) + repr(step().tools)
    assert [name for name in (*ASKED, *ANSWERED) if SECRET[name] not in hidden] == []
