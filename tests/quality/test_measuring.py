"""The harness of quality: features without a leak, figures that a plain loop would give, bounds that hold."""

import numpy as np
import pytest
from benchmarks.quality.bounds import BOUNDS, Votes, binomial
from benchmarks.quality.data import Result, find, random_trial, trial_of
from benchmarks.quality.documents import update
from benchmarks.quality.intervals import figures
from benchmarks.quality.section import Section, Table, Target, checks_of, policy_table
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.feature_extraction.text import TfidfVectorizer


def test_a_trial_is_the_split_that_evaluate_makes(grid):
    trial = random_trial(grid, 3)
    train, test = grid.recording.split(0.7, seed=3)
    assert [p.id for p in trial.train_part.prompts] == [p.id for p in train.prompts]
    assert [p.id for p in trial.test_part.prompts] == [p.id for p in test.prompts]


def test_features_are_those_of_a_vectoriser_that_saw_the_training_texts_only(grid):
    trial = random_trial(grid, 0)
    usual = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    train = usual.fit_transform([grid.texts[row] for row in trial.train])
    test = usual.transform([grid.texts[row] for row in trial.test])
    assert np.allclose((trial.text.test @ trial.text.train.T).toarray(), (test @ train.T).toarray())


def test_figures_are_means_over_the_splits(grid):
    trials = [random_trial(grid, seed) for seed in range(3)]
    tiny = grid.models.index("tiny")
    found = figures(
        trials, {"tiny": [t.pick(np.full(len(t.test), tiny)) for t in trials], "same": [t.base for t in trials]}
    )
    deltas, savings = [], []
    for trial in trials:
        own = [p.outcomes["tiny"] for p in trial.test_part.prompts]
        base = [p.outcomes[trial.incumbent_name] for p in trial.test_part.prompts]
        deltas.append(100 * sum(o.score - b.score for o, b in zip(own, base, strict=True)) / len(own))
        savings.append(1 - sum(o.cost_usd for o in own) / sum(b.cost_usd for b in base))
    assert found["tiny"].delta_points == pytest.approx(np.mean(deltas))
    assert found["tiny"].worst_delta == pytest.approx(min(deltas))
    assert found["tiny"].saving == pytest.approx(np.mean(savings))
    low, high = found["tiny"].delta_ci
    assert low < found["tiny"].delta_points < high
    assert found["tiny"].worse
    assert found["same"].delta_ci == (0.0, 0.0)
    assert found["same"].saving_ci == pytest.approx((0.0, 0.0), abs=1e-12)


def test_the_same_split_five_times_is_no_more_evidence_than_once(grid):
    trial = random_trial(grid, 0)
    tiny = trial.pick(np.full(len(trial.test), grid.models.index("tiny")))
    once, often = (figures([trial] * n, {"tiny": [tiny] * n})["tiny"] for n in (1, 5))
    assert often.delta_ci == pytest.approx(once.delta_ci)


@given(st.integers(20, 2000), st.floats(0.001, 0.2))
def test_the_binomial_bound_is_below_the_truth_no_more_often_than_promised(n, truth):
    counts = np.arange(n + 1)
    below = np.array([binomial(int(k), n, 0.9) < truth for k in counts[: int(n * truth) + 1]])
    assert binom.pmf(counts[: len(below)], n, truth)[below].sum() <= 0.1 + 1e-9


def test_every_bound_lies_above_the_share_that_was_counted():
    for bound in BOUNDS.values():
        assert bound(10, 500, 0.9) > 10 / 500
    assert BOUNDS["empirical Bernstein"](0, 500, 0.9) > binomial(0, 500, 0.9) > 0


def test_laxer_rules_of_votes_ask_the_incumbent_less(grid):
    votes = Votes(grid, grid.models.index("big"), np.arange(len(grid)))
    costs = [rule.sum() for rule in votes.costs_usd]
    assert costs[-1] == min(costs)
    base = grid.scores[:, grid.models.index("big")]
    harms = [(scores < base).mean() for scores in votes.scores]
    assert harms[0] <= harms[-1]


def test_targets_are_said_beside_the_figures(grid):
    trial = trial_of(grid, np.arange(100), np.arange(100, 200), 0)
    free = Result(trial.base.scores, 0.1 * trial.base.costs_usd, trial.base.calls)
    found = figures([trial], {"good": [free]})
    targets = {"good": Target(0.0, 0.85), "absent": Target(0.0)}
    table = policy_table("a title", found, targets)
    assert "+0.0 / 85 met" in table.plain()
    assert "| good | +0.0 [+0.0, +0.0] | 90 [90, 90] |" in table.markdown()
    assert checks_of("here", found, targets) == {"here: good +0.0 / 85": True, "here: absent +0.0": False}


def test_recordings_are_found_by_their_names(tmp_path):
    for name in ("a.jsonl", "b.jsonl.gz", "readme.md"):
        (tmp_path / name).touch()
    assert list(find(tmp_path)) == ["a", "b"]


def test_tables_in_a_document_are_renewed_and_nothing_else(tmp_path):
    path = tmp_path / "doc.md"
    path.write_text("before\n\n<!-- quality:a -->\nold\n<!-- /quality:a -->\n\nafter\n", encoding="utf-8")
    table = Table(title="t", headings=("x", "y"), rows=[("1", "2")])
    sections = [Section(name=name, title=name, tables=[table], data={}) for name in ("a", "b")]
    assert update(sections, path) == ["b"]
    text = path.read_text(encoding="utf-8")
    assert text.startswith("before\n\n<!-- quality:a -->\n\n**t**")
    assert text.endswith("| 1 | 2 |\n\n<!-- /quality:a -->\n\nafter\n")
    assert "old" not in text
