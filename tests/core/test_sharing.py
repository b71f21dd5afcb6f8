"""One router serves many threads: what one of them decides never shows in another's decision."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from taskrouter import ModelCard, Router, Step, StepContext

NAMES = [f"m{i}" for i in range(6)]


def router() -> Router:
    models = [ModelCard(id=n, model=f"house/{n}", input_usd_per_million=1.0, output_usd_per_million=1.0) for n in NAMES]
    rules = [{"name": f"only {n}", "when": {"agent": n, "tenant": f"of-{n}"}, "use": [n]} for n in NAMES]
    return Router(models, "m0", rules=rules)


def step(name: str, number: int) -> Step:
    tenant = f"of-{name}" if number % 2 else None
    return Step(messages=[{"role": "user", "content": f"{number}"}], context=StepContext(agent=name, tenant=tenant))


def test_threads_that_share_a_router_each_get_their_own_rules() -> None:
    shared = router()

    def routed(number: int) -> None:
        name = NAMES[number % len(NAMES)]
        decision = shared.route(step(name, number // len(NAMES)))
        ruled = decision.context.tenant is not None
        assert (decision.model, decision.rule) == ((name, f"only {name}") if ruled else ("m0", None))

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(routed, range(1200)))) == 1200


def test_threads_that_share_a_router_each_get_their_own_answers() -> None:
    shared = router()

    def answered(number: int) -> None:
        name = NAMES[number % len(NAMES)]
        outcome = shared.run(step(name, 1), lambda model: f"{model} answers {number}")
        assert outcome.text == f"{name} answers {number}"
        chunks = list(shared.run_stream(step(name, 1), lambda model: iter([model, f" {number}"])))
        assert chunks == [name, f" {number}"]

    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(answered, range(300)))) == 300
