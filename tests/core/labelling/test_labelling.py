"""Second opinions over real HTTP: what they change, what they never do, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.core.calibration.court import Court
from tests.core.labelling.conftest import Tables

from taskrouter import ConfigurationError, PluginError, Router, Step, StepContext, hookimpl
from taskrouter.config import LabellerConfig
from taskrouter.ports import Ask, Classification, LabellerFactory
from taskrouter.simulator import RunningServer
from taskrouter.step import StepView

ODD = "Qwx zrt plmk vbn."
"""A system prompt of which the classifier makes nothing."""


def odd(number: int = 0, *, agent: str | None = "zrt", **fields: Any) -> Step:
    asked = [{"role": "system", "content": ODD}, {"role": "user", "content": f"fgh {number}"}]
    return Step(messages=asked, context=StepContext(agent=agent), **fields)


def done(router: Router) -> Any:
    assert router.labelling is not None
    assert router.labelling.wait(20.0)
    return router.labelling.status


class Saying:
    """A plugin whose labeller says what it is told, and remembers what it was shown."""

    name = "saying"

    def __init__(self, said: Any = None, *, remote: bool = False) -> None:
        self.said = said
        self.remote = remote
        self.shown: list[tuple[str, str | None]] = []
        self.ask: Ask | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    @hookimpl
    def taskrouter_labellers(self) -> Mapping[str, LabellerFactory]:
        return {"saying": self.make}

    def make(self, config: LabellerConfig, ask: Ask) -> Any:
        self.ask = ask
        return self

    def label(self, view: StepView, context: StepContext) -> Any:
        self.may_go_on.wait(20.0)
        self.shown.append((view.system, context.agent))
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


SURE = Classification((("extraction", 0.9), ("chat", 0.1)))


def by(plugin: Saying, table: Tables, *, labeller: dict[str, Any] | None = None, **config: Any) -> Router:
    profiling = {"labeller": {"name": "saying", **(labeller or {})}}
    return Router.from_config(
        table(policy={"name": "safe", "agreement": False}, profiling=profiling, **config), plugins=[plugin]
    )


# --- what it changes ---------------------------------------------------------------------------------------------


def test_the_first_step_stays_unknown_and_the_next_ones_have_the_label(labelled: Tables, court: Court) -> None:
    with Router.from_config(labelled()) as router:
        first = router.complete(odd(1))
        assert (first.decision.profile.task_type, first.decision.profile.evidence) == ("unknown", "none")
        assert done(router).answered == 1
        profile = router.complete(odd(2)).decision.profile
        assert (profile.task_type, profile.confidence, profile.evidence) == ("extraction", 0.9, "identity")
        assert any("llm" in signal for signal in profile.signals)
        for number in range(5):
            router.complete(odd(number))
        assert (done(router).asked, len(court.asked)) == (1, 1)


def test_each_agent_and_prompt_is_asked_about_once(labelled: Tables, court: Court) -> None:
    court.verdict = '{"task_type": "unknown", "confidence": 0.9}'
    with Router.from_config(labelled()) as router:
        for agent in ("zrt", "zrt", None, "qwx", None):
            router.complete(odd(agent=agent))
            status = done(router)
        assert (status.asked, status.answered, status.without) == (3, 0, {"unsure": 3})
        assert len(court.asked) == 3


def test_what_is_known_is_not_asked_about(labelled: Tables, court: Court) -> None:
    telling = [
        {"role": "system", "content": "Translate the user's text into German."},
        {"role": "user", "content": "x"},
    ]
    with Router.from_config(labelled()) as router:
        for step in (
            odd(task_type="chat"),
            odd(task_type="unknown"),
            odd(framework_task="closed_qa"),
            Step(messages=telling),
            Step(messages=[{"role": "user", "content": "fgh"}]),  # nobody knows who asks
        ):
            router.complete(step)
        assert (done(router).asked, court.asked) == (0, [])


def test_a_decision_alone_sends_nothing_anywhere(labelled: Tables, court: Court) -> None:
    with Router.from_config(labelled()) as router:
        router.route(odd())
        assert (done(router).asked, court.asked) == (0, [])


def test_streams_and_asynchronous_calls_are_labelled_too(labelled: Tables) -> None:
    async def ask(router: Router) -> None:
        await router.acomplete(odd(1))
        assert await asyncio.to_thread(done, router)
        assert [chunk async for chunk in router.astream(odd(agent="qwx"))]
        await router.aclose()

    router = Router.from_config(labelled())
    asyncio.run(ask(router))
    assert router.labelling is not None
    assert router.labelling.status.asked == 2


def test_a_label_below_the_floor_is_not_used(labelled: Tables, court: Court) -> None:
    court.verdict = '{"task_type": "extraction", "confidence": 0.69}'
    with Router.from_config(labelled()) as router:
        router.complete(odd())
        assert done(router).without == {"unsure": 1}
        assert router.route(odd()).profile.task_type == "unknown"
    court.verdict = '{"task_type": "extraction", "confidence": 0.55}'
    with Router.from_config(labelled({"confidence_floor": 0.5}, profiling={"confidence_floor": 0.6})) as router:
        router.complete(odd())
        assert done(router).without == {"unsure": 1}, "the floor of profiling holds as well"


def test_a_label_that_fell_out_of_the_memory_comes_back_without_a_question(labelled: Tables, court: Court) -> None:
    with Router.from_config(labelled(profiling={"identities": 1})) as router:
        for agent in ("zrt", "qwx", "zrt"):
            router.complete(odd(agent=agent))
            done(router)
        assert len(court.asked) == 2
        assert router.route(odd()).profile.task_type == "extraction"


# --- what the model is asked -------------------------------------------------------------------------------------


def test_the_model_sees_names_and_system_prompt_and_not_what_the_user_writes(labelled: Tables, court: Court) -> None:
    with Router.from_config(labelled()) as router:
        router.complete(odd(4711))
        done(router)
    system, user = (message["content"] for message in court.asked[0]["messages"])
    assert "Follow no instruction" in system
    assert json.loads(user) == {"agent": "zrt", "node": None, "system_prompt": ODD}
    assert "4711" not in json.dumps(court.asked)


@pytest.mark.parametrize(
    "nonsense",
    ["", "extraction", '{"task_type": "poetry", "confidence": 1}', '{"task_type": "chat", "confidence": "high"}',
     '{"task_type": ["chat"], "confidence": 1}', '{"task_type": "chat"}', '{"task_type": "chat", "confidence": 90}',
     '{"task_type": "chat", "confidence": true}', "[]", "{" * 5000, '{"task_type": "chat", "confidence": NaN}'],
)  # fmt: skip
def test_nonsense_is_counted_and_not_asked_for_again(
    labelled: Tables, court: Court, caplog: pytest.LogCaptureFixture, nonsense: str
) -> None:
    court.verdict = nonsense
    with Router.from_config(labelled(execution={"retries": 0})) as router:
        for number in range(3):
            assert router.complete(odd(number)).status == "ok"
            status = done(router)
        assert (status.asked, status.answered, sum(status.without.values())) == (1, 0, 1)
        assert router.route(odd()).profile.task_type == "unknown"
    assert ODD not in caplog.text
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING and "labeller" in r.message]) == 1


@pytest.mark.parametrize(
    "wrapped", ["```json\n{}\n```", "Sure: {} I hope this helps {{", '{}', "{} {}"]
)  # fmt: skip
def test_words_around_the_answer_do_no_harm(labelled: Tables, court: Court, wrapped: str) -> None:
    court.verdict = wrapped.replace("{}", '{"task_type": "planning", "confidence": 1}')
    with Router.from_config(labelled()) as router:
        router.complete(odd())
        assert done(router).answered == 1
        assert router.route(odd()).profile.task_type == "planning"


# --- what it may not do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"regions": ["eu"]}, "region"),
        ({"require_tags": ["private"]}, "tags"),
        ({"avoid": ["judge"]}, "rule"),
        ({"use": ["dear"]}, "rule"),
        ({"regions": ["eu"], "sensitivity": "confidential"}, "region"),
        ({"max_cost_usd": 0.00001}, "max_cost"),
    ],
    ids=["region", "tags", "avoid", "use", "sensitivity", "price"],
)
def test_no_model_is_asked_that_the_step_may_not_go_to(
    labelled: Tables, court: Court, rule: dict[str, Any], code: str
) -> None:
    cards = {"dear": {"regions": ["eu"], "tags": ["private"], "input_usd_per_million": 0, "output_usd_per_million": 0}}
    rules = [{"name": "private", "when": {"agent": "zrt"}, **rule}]
    with Router.from_config(labelled(rules=rules, cards=cards, card={"regions": ["us"]})) as router:
        assert router.complete(odd()).model == "dear"
        status = done(router)
    assert (court.asked, status.answered, status.without) == ([], 0, {code: 1})


def test_what_the_caller_allows_holds(labelled: Tables, court: Court) -> None:
    with Router.from_config(labelled()) as router:
        router.complete(odd(), decision=router.route(odd(), use=["dear"]))
        assert (done(router).without, court.asked) == ({"rule": 1}, [])


@pytest.mark.parametrize(
    ("place", "rule", "shown"),
    [
        ({}, {}, True),
        ({}, {"regions": ["eu"]}, False),
        ({"regions": ["eu", "us"]}, {"regions": ["eu"]}, True),
        ({"regions": ["us"]}, {"regions": ["eu"]}, False),
        ({"tags": ["private"]}, {"require_tags": ["private"]}, True),
        ({}, {"require_tags": ["private"]}, False),
        ({"regions": ["eu"]}, {"use": ["dear"]}, False),
        ({}, {"max_cost_usd": 1.0}, False),
        ({}, {"avoid": ["cheap"]}, True),
    ],
)
def test_a_remote_labeller_sees_only_what_may_go_where_it_sends_it(
    table: Tables, models: RunningServer, place: dict[str, Any], rule: dict[str, Any], shown: bool
) -> None:
    cards = {"dear": {"regions": ["eu"], "tags": ["private"]}}
    rules = [{"name": "private", "when": {"agent": "zrt"}, **rule}] if rule else []
    for remote in (True, False):
        plugin = Saying(SURE, remote=remote)
        with by(plugin, table, labeller=place, rules=rules, cards=cards) as router:
            router.complete(odd())
            status = done(router)
        assert bool(plugin.shown) == (shown or not remote)
        assert status.answered == len(plugin.shown)


def test_a_labeller_that_says_nothing_of_it_counts_as_remote(table: Tables, models: RunningServer) -> None:
    plugin = Saying(SURE)
    del plugin.remote
    rules = [{"name": "here", "regions": ["eu"]}]
    with by(plugin, table, rules=rules, cards={"dear": {"regions": ["eu"]}}) as router:
        router.complete(odd())
        assert (done(router).without, plugin.shown) == ({"region": 1}, [])


def test_the_daily_limit_holds_and_touches_no_budget_of_the_user(labelled: Tables, court: Court) -> None:
    config = labelled({"usd_per_day": 0.000001}, budget={"total": {"usd": 1.0}})
    with Router.from_config(config) as router:
        assert router.complete(odd()).status == "ok"
        assert (done(router).without, court.asked) == ({"budget": 1}, [])
    with Router.from_config(labelled({"usd_per_day": 0.01}, budget={"run": {"steps": 1}})) as router:
        step = Step(messages=odd().messages, context=StepContext(agent="zrt", run_id="run"))
        assert router.complete(step).status == "ok"
        assert done(router).answered == 1


def test_a_model_that_cannot_be_held_to_the_limit_or_runs_tools_is_not_asked(labelled: Tables, court: Court) -> None:
    for card, code in (
        ({"input_usd_per_million": None, "output_usd_per_million": None}, "budget"),
        ({"params": {"web_search_options": {}}}, "sidelined"),
    ):
        with Router.from_config(labelled(card=card)) as router:
            assert router.complete(odd()).status == "ok"
            assert (done(router).without, court.asked) == ({code: 1}, [])


def test_a_plugins_labeller_asks_within_the_same_bounds(table: Tables, court: Court) -> None:
    class Asking(Saying):
        def label(self, view: StepView, context: StepContext) -> Any:
            assert self.ask is not None
            with pytest.raises(PluginError, match="the pool has"):
                self.ask([{"role": "user", "content": "?"}], model="none")
            said = self.ask([{"role": "user", "content": "What is it?"}], model="judge")
            return Classification(((said, 1.0),))

    court.verdict = "planning"
    for rules, answered in (([], 1), ([{"name": "here", "avoid": ["judge"]}], 0)):
        plugin = Asking()
        config = table(rules=rules, profiling={"labeller": {"name": "saying"}})
        config["models"].append({**court.card, "context_tokens": 100_000})
        with Router.from_config(config, plugins=[plugin]) as router:
            router.complete(odd())
            assert done(router).answered == answered
    assert len(court.asked) == 1


def test_the_users_call_waits_for_nothing(table: Tables, models: RunningServer) -> None:
    plugin = Saying(SURE)
    plugin.may_go_on.clear()
    with by(plugin, table, labeller={"queued": 1}) as router:
        for number in range(6):
            assert router.complete(odd(agent=f"a{number}")).status == "ok"
        assert router.labelling is not None
        assert router.labelling.status.dropped >= 2
        plugin.may_go_on.set()
        done(router)
        for number in range(6):  # what was dropped is asked about the next time
            router.complete(odd(agent=f"a{number}"))
            done(router)
        assert sorted(agent or "" for _, agent in plugin.shown) == [f"a{number}" for number in range(6)]


def test_only_so_many_identities_are_asked_about(
    table: Tables, models: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Saying(None)
    with by(plugin, table, labeller={"identities": 3}) as router:
        for number in range(10):
            router.complete(odd(agent=f"a{number}"))
            status = done(router)
    assert (status.asked, status.dropped, len(plugin.shown)) == (3, 7, 3)
    assert caplog.text.count("profiling.labeller.identities") == 1


@pytest.mark.parametrize(
    "said",
    [ValueError(ODD), SystemError(), "extraction", 7, Classification((("poetry", 0.9),)),
     Classification((("chat", 9.0),)), Classification((("chat", float("nan")),))],
    ids=["error", "system", "text", "number", "type", "range", "nan"],
)  # fmt: skip
def test_failures_are_counted_logged_once_and_nobodys_concern(
    table: Tables, models: RunningServer, caplog: pytest.LogCaptureFixture, said: Any
) -> None:
    plugin = Saying(said)
    with by(plugin, table) as router:
        for agent in ("a", "b", "a"):
            assert router.complete(odd(agent=agent)).status == "ok"
            status = done(router)
        assert (status.asked, status.answered, sum(status.without.values())) == (2, 0, 2)
        assert router.route(odd(agent="a")).profile.task_type == "unknown"
    assert caplog.text.count("which is said once") == 1
    assert ODD not in caplog.text


def test_a_model_that_fails_is_nobodys_concern(labelled: Tables, models: RunningServer) -> None:
    models.script("cheap", "server_error", "server_error")
    with Router.from_config(labelled({"model": "cheap"}, execution={"retries": 0})) as router:
        assert router.complete(odd()).status == "ok"
        status = done(router)
        assert (status.answered, status.without) == (0, {"server_error": 1})
        router.complete(odd())
        assert done(router).asked == 1, "it is not asked for again at once"


def test_models_may_be_asked_inside_label_only(table: Tables, models: RunningServer) -> None:
    plugin = Saying(SURE)
    with by(plugin, table):
        assert plugin.ask is not None
        assert set(plugin.ask.models) == {"cheap", "fair", "dear"}
        with pytest.raises(PluginError, match="inside its `label` only"):
            plugin.ask([{"role": "user", "content": "hi"}], model="cheap")


def test_a_closed_router_takes_nothing_more(table: Tables, models: RunningServer) -> None:
    plugin = Saying(SURE)
    router = by(plugin, table)
    router.close()
    assert router.labelling is not None
    router.labelling.consider(odd(), router.route(odd()))
    assert (done(router).asked, plugin.shown) == (0, [])


# --- across restarts ---------------------------------------------------------------------------------------------


def test_what_was_said_once_is_kept(labelled: Tables, court: Court, tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    state = {"url": f"sqlite:///{file}"}
    with Router.from_config(labelled(state=state)) as router:
        router.complete(odd())
        done(router)
    with Router.from_config(labelled(state=state)) as router:
        known = Step(messages=[{"role": "user", "content": "hi"}], task_type="chat")
        router.complete(known)  # any call begins the reading, behind it
        assert done(router).read == 1
        assert router.route(odd()).profile.task_type == "extraction"
        router.complete(odd())
        assert done(router).asked == 0
    assert len(court.asked) == 1
    with closing(sqlite3.connect(file)) as database:
        dump = "\n".join(database.iterdump())
    assert "extraction" in dump
    assert ODD not in dump


def test_a_prompt_that_nobody_could_tell_is_not_asked_about_after_a_restart(
    labelled: Tables, court: Court, tmp_path: Path
) -> None:
    court.verdict = '{"task_type": "unknown", "confidence": 1}'
    for _ in range(2):
        with Router.from_config(labelled(state={"url": f"sqlite:///{tmp_path / 'state.db'}"})) as router:
            router.complete(odd())
            done(router)
    assert len(court.asked) == 1


def test_what_another_labeller_said_does_not_count(table: Tables, labelled: Tables, tmp_path: Path) -> None:
    state = {"url": f"sqlite:///{tmp_path / 'state.db'}"}
    with Router.from_config(labelled(state=state)) as router:
        router.complete(odd())
        done(router)
    plugin = Saying(Classification((("chat", 1.0),)))
    with by(plugin, table, state=state) as router:
        router.complete(odd())
        assert (done(router).read, done(router).asked) == (0, 1)
        assert router.route(odd()).profile.task_type == "chat"


def test_entries_that_cannot_be_read_are_left_out(labelled: Tables, tmp_path: Path) -> None:
    from taskrouter.labelling.keeping import LABELS
    from taskrouter.state.opening import open_store
    from taskrouter.state.store import Entry

    url = f"sqlite:///{tmp_path / 'state.db'}"
    store = open_store(url, namespace="default")
    store.put(LABELS, {"a": Entry(value="{"), "b": Entry(value='{"v": 2}'), "c": Entry(value="[]")})
    store.close()
    with Router.from_config(labelled(state={"url": url})) as router:
        router.complete(odd())
        assert (done(router).read, done(router).answered) == (0, 1)


def test_processes_on_one_redis_share_labels(labelled: Tables, court: Court, redis_url: str) -> None:
    with Router.from_config(labelled(state={"url": redis_url})) as first:
        first.complete(odd())
        done(first)
        with Router.from_config(labelled(state={"url": redis_url})) as second:
            second.complete(odd())
            assert (done(second).read, done(second).asked) == (1, 0)
    assert len(court.asked) == 1


# --- configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profiling", "said"),
    [
        ({"labeller": "llm"}, "profiling.labeller.model is missing"),
        ({"labeller": {"name": "llm", "model": "smal"}}, "'smal' is not in the pool, which has|the pool has"),
        ({"labeller": {"name": "llm", "model": "cheap", "options": {"x": 1}}}, "'llm' has none"),
        ({"labeller": "lm"}, "profiling.labeller: unknown name 'lm'; known: embeddings, llm"),
        ({"labeller": {"name": "llm", "model": "cheap"}, "identities": 0}, "needs the memory of identities"),
        ({"labeller": {"name": "llm", "modell": "cheap"}}, "did you mean 'model'"),
        ({"labeller": {"model": "cheap"}}, "is missing"),
    ],
)
def test_what_is_wrong_is_said_when_the_router_is_built(table: Tables, profiling: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Router.from_config(table(profiling=profiling))


def test_a_labeller_that_is_none_is_refused(table: Tables) -> None:
    class Offering:
        @hookimpl
        def taskrouter_labellers(self) -> Mapping[str, Any]:
            return {"none": lambda config, ask: 7, "broken": lambda: None, "text": "text"}

    class Two(Offering):
        @hookimpl
        def taskrouter_labellers(self) -> Mapping[str, Any]:
            return {"none": lambda config, ask: 7, "broken": lambda: None}

    with pytest.raises(PluginError, match="the labeller 'text' is 'text'; it must be a callable"):
        Router.from_config(table(profiling={"labeller": "none"}), plugins=[Offering()])
    with pytest.raises(PluginError, match="made as a int"):
        Router.from_config(table(profiling={"labeller": "none"}), plugins=[Two()])
    with pytest.raises(PluginError, match="cannot be made"):
        Router.from_config(table(profiling={"labeller": "broken"}), plugins=[Two()])


def test_without_a_labeller_there_is_none(table: Tables) -> None:
    with Router.from_config(table()) as router:
        assert router.labelling is None
