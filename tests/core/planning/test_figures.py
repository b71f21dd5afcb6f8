"""What policies make of quality figures: published ones are other people's work, and one's own are one's own."""

from __future__ import annotations

import pytest
from tests.core.planning.pools import card, plan

from taskrouter import ModelCard
from taskrouter.catalog import Catalog, cited_quality
from taskrouter.catalog.card import QualityPrior
from taskrouter.catalog.priors import is_published, kin_prior
from taskrouter.planning.quality import estimate

PUBLISHED = cited_quality("gpt-4o-mini")["extraction"].source


def model(name: str, price: float, quality: float, source: str, weight: float = 30) -> ModelCard:
    figure = QualityPrior(mean=quality, weight=weight, source=source)
    return card(name, price).model_copy(update={"quality": {"extraction": figure, "general": figure}})


@pytest.mark.parametrize(("source", "chosen"), [("400 labelled invoices", "small"), (PUBLISHED, "large")])
def test_balanced_accepts_a_loss_by_the_user_s_own_figures_and_none_by_published_ones(source: str, chosen: str):
    pool = [model("small", 0.1, 0.93, source), model("large", 5, 0.94, source)]
    assert str(plan(pool, "balanced").plan) == chosen


def test_balanced_takes_a_cheaper_model_that_is_as_good_by_all_published_figures():
    pool = [model("small", 0.1, 0.94, PUBLISHED), model("large", 5, 0.94, PUBLISHED)]
    assert str(plan(pool, "balanced").plan) == "small"


@pytest.mark.parametrize(("weight", "chosen"), [(10, "large"), (400, "small")])
def test_economy_counts_on_the_lower_end_of_what_is_believed(weight: float, chosen: str):
    pool = [model("small", 0.1, 0.74, "our own test", weight), model("large", 5, 0.9, "our own test", weight)]
    assert str(plan(pool, "economy").plan) == chosen


def test_a_loss_by_published_figures_is_less_certain_than_by_one_s_own_and_by_guesses_least():
    def width(source: str | None) -> float:
        if source is None:
            pool = [card("small", 0.1), card("large", 5)]
        else:
            pool = [model("small", 0.1, 0.9, source), model("large", 5, 0.95, source)]
        planned = plan(pool, "safe")
        loss = next(row.loss for row in planned.board.rows(10_000, 100, planned.plan) if row.model == "small")
        return loss.high - loss.low

    assert width("our own test") < width(PUBLISHED) < width(None)


def test_published_figures_are_told_from_others_whatever_their_revision():
    other = cited_quality("gpt-4o-2024-01-01")["reasoning"]
    assert other.source.startswith("revision ")
    assert is_published(other.source)
    assert is_published(PUBLISHED)
    assert not is_published("400 labelled invoices")
    assert not is_published("revision 7: 400 labelled invoices")


def test_a_model_without_a_figure_is_expected_to_do_as_its_family_and_size_class_do():
    unknown = ModelCard(id="x", model="x", family="gemini", tier="small")
    prior = kin_prior(unknown, "reasoning")
    assert prior is not None
    assert "no published figure: mean of" in prior.source
    assert "(gemini, small)" in prior.source
    guess = estimate(unknown, "reasoning")
    assert (guess.mean, guess.cited) == (prior.mean, False)
    assert guess.weight <= 4


def test_the_closer_the_kin_the_more_it_counts():
    closest = [
        ModelCard(id="x", model="x", family="gemini", tier="small"),
        ModelCard(id="x", model="x", family="gemini"),
        ModelCard(id="x", model="x", family="of-nobody", tier="small"),
    ]
    priors = [kin_prior(card, "reasoning") for card in closest]
    weights = [prior.weight for prior in priors if prior is not None]
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) == 3
    assert kin_prior(ModelCard(id="x", model="x"), "reasoning") is None


def test_a_newer_model_of_a_house_is_placed_by_what_is_known_of_its_line():
    card = Catalog.bundled().resolve("gpt-4o-mini")
    assert card is not None
    bare = card.model_copy(update={"quality": {}})
    large = bare.model_copy(update={"tier": "large"})
    assert estimate(bare, "reasoning").mean < estimate(large, "reasoning").mean
