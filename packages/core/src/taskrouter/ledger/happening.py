"""What happens beside the steps: breakers that open and close, steps that could not be decided."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from taskrouter.errors import RoutingError, error_kind
from taskrouter.health import Turn
from taskrouter.learning import plain_name
from taskrouter.ledger.behind import Behind
from taskrouter.ledger.record import LONGEST
from taskrouter.ledger.retention import Retention
from taskrouter.ledger.stored import Moment
from taskrouter.state.store import StateStore
from taskrouter.step import Step

EVENTS: Final = "events"
"""The log of what happens beside the steps."""
KEPT: Final = 100_000
"""Events that are kept, about."""
WAITING: Final = 2_000
"""Events that wait at most."""


class Event(BaseModel):
    """Something that happened beside the steps."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    kind: Literal["breaker", "refused"]
    at_s: Moment
    endpoint: str | None = None
    """Of a breaker: the model's id, `model@deployment`, or the name of a quota group."""
    state: Literal["open", "closed", "down"] | None = None
    """Of a breaker, from then on."""
    why: str = ""
    error_type: str | None = None
    """Of a step that was refused."""
    agent: str | None = None
    node: str | None = None
    tenant: str | None = None


class EventLog(Behind[Event]):
    """Appends events to their log, behind the calls.

    Args:
        store: keeps the log.
        days: forget what is older; None: age does not matter.
        wake: asks for a `flush` soon.
    """

    def __init__(
        self, store: StateStore, *, days: float | None = None, wake: Callable[[], None] = lambda: None
    ) -> None:
        retention = Retention(EVENTS, keep=KEPT, days=days)
        super().__init__(store, EVENTS, "events", retention=retention, queued=WAITING, wake=wake)

    def turned(self, turn: Turn) -> None:
        """Note that a breaker has opened or closed."""
        self.leave(
            lambda: Event(kind="breaker", at_s=_now_s(), endpoint=turn.name, state=turn.state, why=turn.why[:LONGEST])
        )

    def refused(self, step: Step, error: RoutingError) -> None:
        """Note a step that could not be decided; of it only names are kept."""
        context = step.context
        self.leave(
            lambda: Event(
                kind="refused",
                at_s=_now_s(),
                error_type=error_kind(error),
                agent=plain_name(context.agent),
                node=plain_name(context.node),
                tenant=None if context.tenant is None else context.tenant[:LONGEST],
            )
        )

    def text(self, item: Event) -> str:
        """Return the record of an event."""
        return json.dumps(item.model_dump(exclude_defaults=True), separators=(",", ":"))


def _now_s() -> float:
    return round(time.time(), 3)
