"""Whole runs: success is a product, and money goes where it buys the most of it."""

import numpy as np
import pytest
from benchmarks.quality.allocating import PRICES, Arms, at_price, joint, node_by_node
from benchmarks.quality.compositions import Kind, composed, cost_usd, steps, success

RUN = [Kind(3, {"chat": 1.0}), Kind(1, {"chat": 0.5, "math": 0.5})]


@pytest.fixture(scope="module")
def arms(grid):
    return Arms(grid, np.arange(len(grid)), grid.models.index("big"))


def test_a_run_succeeds_if_all_its_steps_do():
    assert success(RUN, {"chat": 0.9, "math": 0.5}) == pytest.approx(0.9**3 * 0.7)
    assert cost_usd(RUN, {"chat": 1.0, "math": 3.0}) == pytest.approx(3 * 1.0 + 2.0)
    assert steps(RUN) == {"chat": 3.5, "math": 0.5}


def test_kinds_of_step_follow_from_tools_and_answers(make_grid):
    runs = composed(make_grid(40, tools=True))
    tools, math = runs["6 tool calls, 2 math"]
    assert tools.shares == {"chat": 1.0}
    assert math.shares == {"math": 1.0}


def test_a_higher_price_of_success_buys_more_of_it(arms, grid):
    base, rows = grid.models.index("big"), np.arange(len(grid))
    scores, costs = arms.means(rows)
    levels = []
    for price in PRICES:
        chosen = at_price(arms, rows, RUN, base, price)
        means = [{task: values[task][arm] for task, arm in chosen.items()} for values in (scores, costs)]
        levels.append((float(cost_usd(RUN, means[1])), float(success(RUN, means[0]))))
    assert levels == sorted(levels)
    assert levels[0][0] < levels[-1][0]


def test_the_joint_choice_is_cheaper_than_the_model_it_is_as_good_as(arms, grid):
    base = grid.models.index("big")
    scores, costs = arms.means(np.arange(len(grid)))
    chosen = joint(arms, RUN, base, 0)
    own = cost_usd(RUN, {task: costs[task][arm] for task, arm in chosen.items()})
    assert own < cost_usd(RUN, {task: costs[task][base] for task in chosen})
    alone = node_by_node(arms, RUN, base)
    assert all(scores[task][arm] >= scores[task][base] for task, arm in alone.items())
