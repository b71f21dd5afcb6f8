"""The places where a plugin can join in; they fit on one screen.

Registration hooks run once, when a router is built, and offer named objects. Event hooks run for every step and take
one frozen event. Plugins are passed as `Router(plugins=[...])` or found through the entry point group `taskrouter`. A
misspelt hook name fails when the router is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import typer

    from taskrouter.decision import Decision
    from taskrouter.outcome import Attempt, Outcome
    from taskrouter.ports import (
        AnswerReader,
        BackendFactory,
        Classifier,
        Demo,
        LabellerFactory,
        Redactor,
        SelectorFactory,
        Validator,
    )

PROJECT = "taskrouter"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Mark your implementation: `@taskrouter.hookimpl`."""


@hookspec
def taskrouter_classifiers() -> Mapping[str, Classifier]:  # type: ignore[empty-body]
    """Offer classifiers of task types by name; `[profiling] classifier` picks one."""


@hookspec
def taskrouter_labellers() -> Mapping[str, LabellerFactory]:  # type: ignore[empty-body]
    """Offer labellers by name: each is called with its `LabellerConfig` and an `Ask`, and returns a `Labeller`.

    `[profiling] labeller` picks one; it is asked, behind the calls, where the classifier was unsure.
    """


@hookspec
def taskrouter_selectors() -> Mapping[str, SelectorFactory]:  # type: ignore[empty-body]
    """Offer policies by name: each is called with its `PolicyConfig` and returns a `Selector`."""


@hookspec
def taskrouter_backends() -> Mapping[str, BackendFactory]:  # type: ignore[empty-body]
    """Offer ways to call models by name; each is called without arguments when a model first needs it."""


@hookspec
def taskrouter_validators() -> Mapping[str, Validator]:  # type: ignore[empty-body]
    """Offer checks of whole answers by name; an answer that does not pass one is a failed attempt."""


@hookspec
def taskrouter_answers() -> Mapping[str, AnswerReader]:  # type: ignore[empty-body]
    """Offer readers of what an answer comes to, by name: two models agree where the same text is read of both.

    The first reader that returns text decides, before our own (`taskrouter.answers`).
    """


@hookspec
def taskrouter_redactors() -> Mapping[str, Redactor]:  # type: ignore[empty-body]
    """Offer what takes private things out of captured content, by name; all of them are applied to every text.

    They are only called where content is captured (`[telemetry] content`). Whatever one of them raises, the request or
    the answer that it was to redact is left out altogether.
    """


@hookspec
def taskrouter_demos() -> Mapping[str, Demo]:  # type: ignore[empty-body]
    """Offer agents for `taskrouter demo`; an adapter brings the agent of its framework."""


@hookspec
def taskrouter_commands(app: typer.Typer) -> None:
    """Add commands to the `taskrouter` command line."""


@hookspec
def taskrouter_decided(decision: Decision) -> None:
    """A step was decided. Called on the decision path: return fast; an exception is logged, never raised."""


@hookspec
def taskrouter_attempted(decision: Decision, attempt: Attempt) -> None:
    """A call to a model ended, well or badly."""


@hookspec
def taskrouter_completed(outcome: Outcome[Any]) -> None:
    """A step was answered."""
