"""The router's own policies. All that these benchmarks need of the evaluation package's policies stands here."""

from __future__ import annotations

from collections import Counter
from unittest.mock import patch

from benchmarks.quality.data import Array, Grid, Result, Trial, trial_of
from benchmarks.quality.plugs import Announced
from training.plan_priors import measure

from taskrouter.decision import NO_LOSS, Plan
from taskrouter.errors import RoutingError
from taskrouter.evaluation.arms import arms_of
from taskrouter.evaluation.harness import DEFAULT_POLICY, see
from taskrouter.evaluation.learned import Learned
from taskrouter.evaluation.recordings import Recording
from taskrouter.evaluation.routed import Routed, routers
from taskrouter.evaluation.situations import Situation, by_task
from taskrouter.planning import measured
from taskrouter.planning.measured import read

BLIND = "learned, no step identity"


def results(trial: Trial) -> dict[str, Result]:
    """`safe`, `balanced`, `economy` and `learned`; and `learned` without the task."""
    built = routers(trial.train_part, trial.incumbent_name)
    seen = by_task(trial.test_part)
    found = {
        name: trial.serve(Routed(name, router, trial.incumbent_name).plans(seen)) for name, router in built.items()
    }
    found["learned"] = learned(trial)
    found[BLIND] = learned(trial, step_identity=False)
    return found


def learned(trial: Trial, *, step_identity: bool = True, traffic: bool = False) -> Result:
    """The policy that uses labels.

    Args:
        trial: what it learns from and is judged on.
        step_identity: whether it sees the tasks.
        traffic: whether it knows how many steps of each identity there are, labelled or not, as a running router does.
    """
    return trial.serve(_learned_plans(trial, step_identity=step_identity, traffic=traffic))


def learned_plans(grid: Grid, labelled: Array, incumbent: int, seed: int) -> list[Plan]:
    """What `learned` does with every prompt of a recording when it has labels of some."""
    every = trial_of(grid, labelled, range(len(grid)), seed, incumbent=incumbent)
    return _learned_plans(every, step_identity=True, traffic=True)


def situations(part: Recording, priced_by: Recording, incumbent: str, *, step_identity: bool = True) -> list[Situation]:
    """Show prompts as policies may see them; prices come from another part."""
    router = routers(priced_by, incumbent)[DEFAULT_POLICY]
    return see(part, router, step_identity=step_identity)


def _learned_plans(trial: Trial, *, step_identity: bool, traffic: bool) -> list[Plan]:
    incumbent = trial.incumbent_name
    router = routers(trial.train_part, incumbent)[DEFAULT_POLICY]
    train, test = (see(part, router, step_identity=step_identity) for part in (trial.train_part, trial.test_part))
    otherwise = Routed(DEFAULT_POLICY, router, incumbent)
    seen = Counter(situation.identity or "" for situation in (*train, *test)) if traffic else None
    policy = Learned.fit(trial.train_part, train, incumbent, otherwise=otherwise, traffic=seen, seed=trial.seed)
    return policy.plans(test)


def arms(train: Recording, incumbent: str) -> list[Plan]:
    """All plans that `learned` may choose from."""
    return arms_of(train, incumbent)


def announced(judged: Recording, incumbent: str, policy: str = "balanced") -> Announced:
    """What a policy does with a recording, and the loss that its decisions say they expect."""
    router = routers(judged, incumbent)[policy]
    plans, losses = [], []
    for situation in by_task(judged):
        try:
            decision = router.route(situation.step)
        except RoutingError:
            plans.append(Plan(models=(incumbent,)))
            losses.append(NO_LOSS)
        else:
            plans.append(decision.plan)
            losses.append(decision.expected_loss)
    mean, low, high = (100 * sum(column) / len(losses) for column in zip(*(loss[:3] for loss in losses), strict=True))
    return Announced(plans, mean, (low, high))


def elsewhere(others: list[Recording], judged: Recording, incumbent: str) -> Announced:
    """What `balanced` does when plans were measured on other recordings only."""
    figures = read(measure({str(number): other for number, other in enumerate(others)}))
    with patch.object(measured, "measured", lambda: figures):
        return announced(judged, incumbent)
