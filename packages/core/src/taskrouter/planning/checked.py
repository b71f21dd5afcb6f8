"""Policies that plugins bring: checked at every choice, so that a mistake in one is told from a mistake of ours.

Our own policies are not checked: they are tested, and a check costs a part of what a decision does.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

from taskrouter.config import PolicyConfig
from taskrouter.errors import PluginError, TaskRouterError
from taskrouter.planning.selectors import OWN
from taskrouter.ports import Choice, Selector, SelectorFactory, Slate


def make_selector(factory: SelectorFactory, config: PolicyConfig) -> Selector:
    """Build the selector of a policy.

    Raises:
        PluginError: a plugin's factory fails, or what it makes cannot choose.
    """
    if OWN.get(config.name) is factory:
        return factory(config)
    try:
        selector = factory(config)
    except TaskRouterError:
        raise
    except Exception as error:  # a plugin may raise anything; the user learns which one it was
        raise PluginError(f"policy {config.name!r} cannot be made: {type(error).__name__}: {error}") from error
    if isinstance(selector, type) or not callable(getattr(selector, "choose", None)):
        kind = f"the class {selector.__name__}" if isinstance(selector, type) else f"a {type(selector).__name__}"
        raise PluginError(f"policy {config.name!r}: its factory returns {kind}; it must be an object with `choose`")
    return _Checked(selector, config.name)


class _Checked:
    """Passes a slate on, and refuses a choice that ranks it wrongly."""

    def __init__(self, selector: Selector, name: str) -> None:
        self._selector = selector
        self.name = name

    def choose(self, slate: Slate) -> Choice:
        """Return the plugin's choice.

        Raises:
            PluginError: the plugin fails, or its choice does not score every model of the slate.
        """
        try:
            choice = self._selector.choose(slate)
            problem = _problem(choice, len(slate.cards))
        except TaskRouterError:
            raise
        except Exception as error:  # the same
            raise PluginError(f"policy {self.name!r} failed to choose: {type(error).__name__}: {error}") from error
        if problem:
            raise PluginError(f"policy {self.name!r} {problem}")
        return choice


def _problem(choice: object, models: int) -> str | None:
    if not isinstance(choice, Choice):
        return f"returned a {type(choice).__name__} from `choose`; it must be a taskrouter.ports.Choice"
    scores: Sequence[object] = choice.scores
    if len(scores) != models:
        return f"scored {len(scores)} models of {models}: give one score per model of the slate, in its order"
    for score in scores:
        if not isinstance(score, Real) or score != score:  # noqa: PLR0124 - the one value that differs from itself: NaN
            return f"gave the score {score!r}; a score is a number"
    if len(choice.parts) not in (0, models):
        return f"explained {len(choice.parts)} scores of {models}: give parts for every model, or for none"
    return _improbable(choice)


def _improbable(choice: Choice) -> str | None:
    chances = [choice.propensity, *(chance for _, chance in choice.alternatives)]
    if not all(0 < chance <= 1 for chance in chances):
        return f"gave the propensity {next(c for c in chances if not 0 < c <= 1)!r}; it is a probability above 0"
    return "gave plans chances that sum to more than 1" if sum(chances) > 1 + 1e-6 else None
