"""What a shadow costs is counted, and no saving is claimed for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.core.observability.recorder import Recorder
from tests.core.shadow.test_shadow import ALONE, ALWAYS, adding, done

from taskrouter import Router
from taskrouter.observability import names as n


def test_the_calls_of_a_trial_cost_and_save_nothing(table: Callable[..., dict[str, Any]]) -> None:
    recorder = Recorder()
    config = table(policy=ALONE, shadow={**ALWAYS, "plans": ["fair"]})
    with Router.from_config(config, meter_provider=recorder.meters) as router:
        router.complete(adding())
        assert done(router).labelled == 1
    points = recorder.points()
    policies = {name: {labels[n.POLICY_NAME] for labels, _ in points[name]} for name in (n.COST, n.BASELINE)}
    assert "trial" in policies[n.COST]
    assert policies[n.BASELINE] == policies[n.COST] - {"trial"}
    assert len(policies[n.BASELINE]) == 1
    recorder.shutdown()
