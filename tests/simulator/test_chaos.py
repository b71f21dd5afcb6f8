"""Chaos scripts: an outage in phases, replayed exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulator.conftest import ASK, MODEL

from taskrouter.errors import ConfigurationError
from taskrouter.simulator import FAULTS, ChaosScript, load, load_chaos, serve
from taskrouter.simulator.chaos import Chaos

EXAMPLE = Path(__file__).parents[2] / "examples" / "outage.toml"
CONFIG = load({"speed": 0, "models": [MODEL, {**MODEL, "id": "n"}]})
A, B = CONFIG.models


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def chaos(*phases: dict[str, Any], seed: int = 0, clock: Clock | None = None) -> Chaos:
    return Chaos(load_chaos({"phases": list(phases)}, CONFIG), seed, clock or Clock())


def faults(running: Chaos, count: int, model: Any = A) -> list[str | None]:
    """Return what the next requests meet; `-` where no phase covers them."""
    met = [running.next(model) for _ in range(count)]
    return ["-" if one is None else one.fault for one in met]


def test_a_phase_begins_after_so_many_requests_lasts_so_many_and_cycles():
    running = chaos({"after_requests": 2, "requests": 5, "faults": ["overloaded", "ok", "timeout"]})
    assert faults(running, 9) == ["-", "-", "overloaded", None, "timeout", "overloaded", None, "-", "-"]


def test_a_phase_without_a_span_is_everything():
    assert faults(chaos({"faults": ["forbidden"]}), 50) == ["forbidden"] * 50


def test_every_model_counts_its_own_requests():
    running = chaos({"after_requests": 1, "requests": 1, "faults": ["stall"]})
    assert faults(running, 2, A) == ["-", "stall"]
    assert faults(running, 3, B) == ["-", "stall", "-"]


def test_a_phase_may_be_of_some_models():
    running = chaos({"models": ["n"], "faults": ["stall"]})
    assert faults(running, 2, A) == ["-", "-"]
    assert faults(running, 2, B) == ["stall", "stall"]


def test_a_phase_in_seconds_follows_the_clock():
    clock = Clock()
    running = chaos({"after_s": 10, "for_s": 5, "faults": ["overloaded", "ok"]}, clock=clock)
    seen = []
    for moment in (0, 9.9, 10, 12, 14.9, 15, 100):
        clock.now = 1000 + moment
        seen += faults(running, 1)
    assert seen == ["-", "-", "overloaded", None, "overloaded", "-", "-"]


def test_where_phases_overlap_the_first_one_rules():
    running = chaos(
        {"after_requests": 1, "requests": 1, "faults": ["ok"]},
        {"requests": 3, "faults": ["overloaded", "rate_limit", "timeout"]},
    )
    assert faults(running, 4) == ["overloaded", None, "rate_limit", "-"]


def test_a_phase_has_durations_of_its_own_and_leaves_the_others_alone():
    running = chaos({"requests": 1, "faults": ["rate_limit"], "retry_after_s": 7}, {"faults": ["rate_limit"]})
    first, second = running.next(A), running.next(A)
    assert first is not None
    assert second is not None
    assert (first.durations.retry_after_s, first.durations.hang_s) == (7, A.faults.hang_s)
    assert second.durations == A.faults


def test_phases_are_named_by_number_where_they_have_no_name():
    running = chaos({"requests": 1, "faults": ["ok"]}, {"name": "flood", "requests": 2, "faults": ["ok"]}, RATED)
    assert [met and met.phase for met in (running.next(A) for _ in range(3))] == ["phase 1", "flood", "phase 3"]


RATED = {"rates": {"overloaded": 0.4, "rate_limit": 0.3}}


def test_rates_are_drawn_by_the_seed():
    first, again, other = (faults(chaos(RATED, seed=seed), 60) for seed in (1, 1, 2))
    assert first == again != other
    assert set(first) == {None, "overloaded", "rate_limit"}


EVENTS = st.lists(st.sampled_from(["ok", *FAULTS]), min_size=1, max_size=4)
RATES = st.dictionaries(st.sampled_from(FAULTS), st.floats(0.01, 0.2), min_size=1, max_size=4)
PHASES = st.lists(
    st.builds(
        lambda span, kind, models: {**span, **kind, **models},
        st.fixed_dictionaries({}, optional={"after_requests": st.integers(0, 9), "requests": st.integers(1, 9)}),
        st.one_of(st.builds(lambda f: {"faults": f}, EVENTS), st.builds(lambda r: {"rates": r}, RATES)),
        st.sampled_from([{}, {"models": ["m"]}, {"models": ["n", "m"]}]),
    ),
    min_size=1,
    max_size=4,
)


@given(PHASES, st.integers(0, 99), st.lists(st.booleans(), max_size=30))
def test_what_a_model_meets_depends_on_nothing_but_script_and_seed(phases, seed, order):
    """Neither a second run nor requests to another model in between change it."""
    running, other = chaos(*phases, seed=seed), chaos(*phases, seed=seed)
    mixed = [faults(running, 1, A if first else B)[0] for first in order]
    of_a = [fault for fault, first in zip(mixed, order, strict=True) if first]
    assert faults(other, len(of_a)) == of_a
    other.reset()
    assert faults(other, len(of_a)) == of_a


@pytest.fixture
def ask(body):
    """Return a call that asks a model so often and tells the statuses; 0 where there was no whole answer."""

    def asked(server: Any, count: int, model: str = "m") -> list[int]:
        statuses = []
        with httpx.Client(timeout=0.2) as http:
            for _ in range(count):
                try:
                    answer = http.post(f"{server.base_url}/chat/completions", json=body(model=model))
                    statuses.append(answer.status_code)
                except httpx.TransportError:
                    statuses.append(0)
        return statuses

    return asked


def test_a_server_replays_a_script_and_says_which_phase_it_was(ask):
    script = {"phases": [{"name": "flood", "after_requests": 1, "requests": 2, "faults": ["overloaded_529", "stall"]}]}
    with serve(CONFIG, chaos=script) as server:
        assert ask(server, 4) == [200, 529, 0, 200]
        assert [record.phase for record in server.requests] == [None, "flood", "flood", None]
        server.reset()
        assert ask(server, 2) == [200, 529]


def test_a_script_can_be_loaded_and_ended_while_the_server_runs(start, ask, tmp_path):
    server = start()
    file = tmp_path / "outage.toml"
    file.write_text('[[phases]]\nfaults = ["overloaded"]\n')
    assert server.chaos_script is None
    assert ask(server, 1) == [200]
    server.chaos(file)
    assert ask(server, 2) == [503, 503]
    server.chaos({"phases": [{"after_requests": 1, "faults": ["forbidden"]}]})
    assert ask(server, 2) == [200, 403]
    server.chaos(None)
    assert ask(server, 1) == [200]


def test_the_models_own_faults_wait_until_no_phase_covers_a_request(start, ask):
    server = start(script=["not_found", "ok"], faults={"forbidden": 1})
    server.chaos({"phases": [{"requests": 2, "faults": ["ok", "overloaded"]}]})
    assert ask(server, 5) == [200, 503, 404, 200, 403]


def test_a_phase_in_seconds_begins_when_the_script_is_loaded(start, ask):
    server = start()
    server.chaos({"phases": [{"for_s": 3600, "faults": ["overloaded"]}]})
    assert ask(server, 2) == [503, 503]
    server.chaos({"phases": [{"after_s": 3600, "faults": ["overloaded"]}]})
    assert ask(server, 2) == [200, 200]


def test_a_request_that_the_api_refuses_is_not_counted(start, ask, client_of):
    server = start()
    server.chaos({"phases": [{"after_requests": 1, "requests": 1, "faults": ["overloaded"]}]})
    assert ask(server, 1) == [200]
    with pytest.raises(openai.BadRequestError):
        client_of(server).chat.completions.create(model="m", messages=[])
    assert ask(server, 2) == [503, 200]


def test_a_phase_sets_how_long_a_rate_limit_asks_to_wait(start, client_of):
    server = start()
    server.chaos({"phases": [{"faults": ["rate_limit"], "retry_after_s": 42}]})
    with pytest.raises(openai.RateLimitError) as caught:
        client_of(server).chat.completions.create(model="m", messages=ASK)
    assert caught.value.response.headers["retry-after"] == "42"


def met_in_the_example(ask: Any) -> dict[str, list[str | None]]:
    bundled = load().model_copy(update={"speed": 0})
    counts = {"sim-large": 40, "sim-small": 20, "sim-text-only": 3}
    with serve(bundled, chaos=EXAMPLE) as server:
        for model, count in counts.items():
            ask(server, count, model)
        return {model: [r.fault for r in server.requests if r.model == model] for model in counts}


def test_the_example_is_replayed_exactly(ask):
    first = met_in_the_example(ask)
    assert first == met_in_the_example(ask)
    drowning = ["overloaded_529", "rate_limit", "stall", "error_event"]
    assert first["sim-large"][:19] == [*[None] * 5, *["slow_start", None] * 2, *drowning * 2, *drowning[:2]]
    assert set(first["sim-large"][19:39]) == {None, "overloaded_529", "cut_stream"}
    assert first["sim-large"][39:] == [None]
    assert first["sim-small"] == [*[None] * 12, *[None, "rate_limit_reset", None] * 2, None, None]
    assert first["sim-text-only"] == [None] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'phases': is missing"),
        ("phases = []", "'phases': must not be empty"),
        ("[[phase]]\nfaults = ['ok']", "unknown key 'phase'; did you mean 'phases'?"),
        ("[[phases]]\nfault = ['ok']", "unknown key 'phases[0].fault'; did you mean 'faults'?"),
        ("[[phases]]\nfaults = []", "'phases[0].faults': must not be empty"),
        ("[[phases]]\nfaults = ['ok', 'flood']", "'phases[0].faults[1]': must be 'ok', 'rate_limit'"),
        ("[[phases]]\nrates = { overload = 1 }", "unknown key 'phases[0].rates.overload'; did you mean 'overloaded'?"),
        ("[[phases]]\nrates = { stall = 0.6, refusal = 0.6 }", "'phases[0].rates': the fault probabilities add up"),
        ("[[phases]]\nrates = { stall = 2 }", "'phases[0].rates.stall': must be less than or equal to 1"),
        ("[[phases]]\nrates = {}", "'phases[0]': all rates are zero"),
        ("[[phases]]\nname = 'x'", "'phases[0]': give either 'faults'"),
        ("[[phases]]\nfaults = ['ok']\nrates = { stall = 1 }", "there are both"),
        (
            "[[phases]]\nfaults = ['ok']\n[[phases]]\nfaults = ['ok']\nrequests = 3\nfor_s = 2",
            "'phases[1]': a phase is measured in requests or in seconds, not in both: drop 'requests', or 'for_s'",
        ),
        ("[[phases]]\nfaults = ['ok']\nrequests = 0", "'phases[0].requests': must be greater than or equal to 1"),
        ("[[phases]]\nfaults = ['ok']\nafter_requests = -1", "'phases[0].after_requests'"),
        ("[[phases]]\nfaults = ['ok']\nfor_s = 0", "'phases[0].for_s': must be greater than 0"),
        ("[[phases]]\nfaults = ['ok']\nafter_s = inf", "'phases[0].after_s'"),
        ("[[phases]]\nfaults = ['ok']\nmodels = []", "'phases[0].models': must not be empty"),
        (
            "[[phases]]\nfaults = ['ok']\nmodels = ['m', 'gpt']",
            "'phases[0].models': no simulated model 'gpt'; there are: m, n",
        ),
        ("[[phases]", "not valid TOML"),
    ],
)
def test_a_wrong_script_is_named_with_its_file_and_key(tmp_path, text, message):
    file = tmp_path / "outage.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught, serve(CONFIG, chaos=file):
        pass
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)


def test_a_script_made_in_python_is_checked_for_its_models_too():
    script = ChaosScript.model_validate({"phases": [{"models": ["nobody"], "faults": ["ok"]}]})
    with pytest.raises(ConfigurationError, match=r"chaos script: 'phases\[0\].models': no simulated model 'nobody'"):
        load_chaos(script, CONFIG)


def test_a_script_that_is_wrong_leaves_the_one_at_work(start, ask):
    server = start()
    server.chaos({"phases": [{"faults": ["overloaded"]}]})
    with pytest.raises(ConfigurationError, match="no simulated model"):
        server.chaos({"phases": [{"models": ["nobody"], "faults": ["ok"]}]})
    assert ask(server, 1) == [503]


def test_the_example_is_what_it_says_in_its_first_lines():
    assert f"taskrouter simulate --chaos {EXAMPLE.parent.name}/{EXAMPLE.name}" in EXAMPLE.read_text(encoding="utf-8")
    shown = load_chaos(EXAMPLE, load()).model_dump(mode="json", exclude_defaults=True)
    assert load_chaos(json.loads(json.dumps(shown)), load()) == load_chaos(EXAMPLE, load())


@pytest.mark.parametrize("source", [5, ["outage.toml"], None])
def test_a_script_of_another_kind_is_refused(source: Any) -> None:
    with pytest.raises(ConfigurationError, match="a chaos script is a path or a mapping, not a"):
        load_chaos(source, CONFIG)
