"""What trials have taught, kept in a log of its own: rows of a suite of cases, and pairs that shadows have compared.

A row of a suite has a key. Of rows with the same key only the latest counts: a case that is run again, or that another
model has answered since, takes the place of what it taught before. Pairs of shadows have none and add up.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from taskrouter.errors import StoreUnavailable
from taskrouter.learning import Learner, Lesson
from taskrouter.ledger.authors import Author
from taskrouter.state.store import StateStore

logger = logging.getLogger("taskrouter.learning")

LESSONS: Final = "lessons"
"""The log."""
PAGE: Final = 1000


class Taught(NamedTuple):
    """What came of teaching."""

    new: int
    """Lessons that were not known, or not like this."""
    kept: bool
    """Whether the store has them."""


class LessonBook:
    """Hands lessons to the learner and keeps them in the store.

    Args:
        store: where the log is.
        learner: learns from them.
        write: returns a lesson as JSON-ready values.
        read: yields the lesson of such values, unless they are of another version.
    """

    def __init__(
        self,
        store: StateStore,
        learner: Learner,
        *,
        write: Callable[[Lesson], dict[str, Any]],
        read: Callable[[Any], Iterator[Lesson]],
    ) -> None:
        self.learner = learner
        self._store = store
        self._author = Author()
        self._write = write
        self._read = read
        self._reading = threading.Lock()
        self._read_to: str | None = None
        self._latest: dict[str, str] = {}
        """The document of the latest row of each key."""

    @property
    def shared(self) -> bool:
        """Whether others can read it, and whether it outlives this process."""
        return self._store.shared

    def teach(self, lessons: Sequence[Lesson], *, source: str, said: Mapping[str, Any] | None = None) -> Taught:
        """Learn from lessons, and keep those that are news.

        Args:
            lessons: what was taught.
            source: who says so: `suite`, `judge`, `agreement`.
            said: what else the records are to hold, such as a propensity.
        """
        news: list[Lesson] = []
        records: list[str] = []
        for lesson in lessons:
            document = self._write(lesson)
            text = json.dumps(document, sort_keys=True)
            if lesson.key is not None:
                if self._latest.get(lesson.key) == text:
                    continue
                self._latest[lesson.key] = text
            news.append(lesson)
            record = {"v": 1, "source": source, "key": lesson.key, **(said or {}), "lesson": document}
            records.append(json.dumps({**record, "at_s": time.time(), "owner": self._author.name}))
        if not news:
            return Taught(0, kept=True)
        self.learner.adopt(news)
        try:
            self._store.append(LESSONS, records)
        except StoreUnavailable as error:
            logger.warning("%d lessons could not be kept: %s", len(news), str(error))
            return Taught(len(news), kept=False)
        return Taught(len(news), kept=True)

    def catch_up(self) -> None:
        """Read what others were taught since the last time.

        Raises:
            StoreUnavailable: the store is away.
        """
        with self._reading:
            found: list[Lesson] = []
            try:
                while records := self._store.read(LESSONS, after=self._read_to, limit=PAGE):
                    for record in records:
                        self._read_to = record.position
                        if not self._author.wrote(record.text):
                            found.extend(self._taken(record.text))
            finally:
                self.learner.adopt(found)  # what was read is not read again, so it counts if the store goes away now

    def after_fork_in_child(self) -> None:
        """Take a new lock: a thread that stayed with the parent may hold the old one."""
        self._reading = threading.Lock()

    def _taken(self, text: str) -> Iterator[Lesson]:
        try:
            record = json.loads(text)
        except ValueError:
            return
        if not isinstance(record, dict):
            return
        key = record.get("key")
        for lesson in self._read(record.get("lesson")):
            if isinstance(key, str):
                self._latest[key] = json.dumps(self._write(lesson), sort_keys=True)
                yield lesson._replace(key=key)
            else:
                yield lesson
