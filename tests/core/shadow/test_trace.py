"""What is told of a shadow: a trace of its own, linked to the step that it is made for, and a record that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.core.observability.recorder import Recorder, attributes
from tests.core.shadow.test_shadow import ALONE, ALWAYS, adding, done

from taskrouter import Router
from taskrouter.observability import names as n


def test_a_shadow_links_to_the_step_it_is_made_for(table: Callable[..., dict[str, Any]]) -> None:
    recorder = Recorder()
    config = table(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    with Router.from_config(config, tracer_provider=recorder.tracers) as router:
        outcome = router.complete(adding())
        assert done(router).labelled == 1
        kept = list(router.ledger.records())
    step, shadow = (span for span in recorder.spans if span.name.startswith("route "))
    assert attributes(step)[n.DECISION_ID] == attributes(shadow)[n.DECISION_OF] == outcome.decision_id
    assert attributes(shadow)[n.DECISION_REASON] == "shadow"
    (link,) = shadow.links
    assert link.context == step.get_span_context()
    assert shadow.parent is None
    assert [(record.of, record.is_trial) for record in kept] == [(None, False), (outcome.decision_id, True)]
    recorder.shutdown()
