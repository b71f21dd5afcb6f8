"""What a router keeps beyond a step: its store, its budgets, and the exchange with other processes."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from taskrouter.budget import BudgetBook
from taskrouter.config import BudgetConfig, StateConfig
from taskrouter.errors import FeedbackError, StoreUnavailable
from taskrouter.sharing import Sharing, TellingHealth, waking
from taskrouter.state.opening import open_store
from taskrouter.state.resilient import ResilientStore
from taskrouter.state.store import StateStore

FEEDBACK = "feedback"
"""The log that feedback is appended to."""


class RouterState:
    """Opens the store that is configured and puts it to use.

    Args:
        state: the section `[state]`.
        budget: the section `[budget]`.
        health: what is known of endpoints.
        margin: factor on the token estimate.

    Raises:
        ConfigurationError: the store's address is wrong, or what is there cannot be used.
    """

    def __init__(self, state: StateConfig, budget: BudgetConfig, health: TellingHealth, *, margin: float) -> None:
        store = open_store(state.url, namespace=state.namespace)
        self.store: StateStore = ResilientStore(store) if store.shared else store
        owner = f"{os.getpid()}-{secrets.token_hex(6)}"
        self.budgets = BudgetBook(budget, self.store if store.shared else None, owner, margin=margin)
        # A file is here or it fails: only a server can be away for a while. What waits for it is not durable, so a
        # record that a file could not take is an error.
        self._log = store if store.name == "sqlite" else self.store
        self._sharing: Sharing | None = None
        if store.shared:
            self._sharing = Sharing(self.store, health, self.budgets, refresh_s=state.refresh_s)
            health.tell = waking(self._sharing)

    def begin(self) -> None:
        """Begin the exchange with other processes, if there may be any."""
        if self._sharing is not None:
            self._sharing.begin()

    def feedback(self, decision_id: str, score: float, source: str) -> None:
        """Append a label to the log of feedback; see `Router.feedback`."""
        # What is wrong is not quoted, unless it is a number: it may be an answer.
        if not isinstance(decision_id, str) or not re.fullmatch(r"dec_[0-9a-f]{16}", decision_id):
            raise FeedbackError(f"this {type(decision_id).__name__} is no decision id: pass `outcome.decision_id`")
        self._append(decision_id, score, source, [{"decision_id": decision_id}])

    def feedback_run(self, run_id: str, shares: Mapping[str, float], score: float, source: str) -> None:
        """Append a run's label to the log of feedback, divided among its steps; see `Router.feedback_run`."""
        if not isinstance(run_id, str) or not shares:
            raise FeedbackError(
                "no step of this run is known here: pass the `run_id` of the steps' context, in the process that made "
                "them, and not long after"
            )
        steps = [{"decision_id": step, "run_id": run_id, "share": share} for step, share in shares.items()]
        self._append("the run", score, source, steps)

    def _append(self, subject: str, score: float, source: str, records: Sequence[Mapping[str, Any]]) -> None:
        if not isinstance(score, int | float):
            raise FeedbackError(f"score of {subject} is a {type(score).__name__}: it must be a number from 0 to 1")
        if not 0.0 <= score <= 1.0:
            raise FeedbackError(f"score of {subject} is {score!r:.40}: it must be a number from 0 to 1")
        if not isinstance(source, str) or not re.fullmatch(r"[\w.:/ -]{1,100}", source):
            raise FeedbackError(f"source of {subject}: it must be a short name of who says so, such as 'user'")
        said = {"score": float(score), "source": source, "at_s": time.time()}
        try:
            self._log.append(FEEDBACK, [json.dumps({"v": 1, **record, **said}) for record in records])
        except StoreUnavailable as error:
            raise FeedbackError(f"feedback for {subject} was not kept: {error}") from error

    def close(self) -> None:
        """Write what is not written and close the store."""
        if self._sharing is not None:
            self._sharing.stop()
        self.store.close()
