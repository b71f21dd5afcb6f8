"""Work that may run in another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from taskrouter.schemas import gathered_faults


class Job(NamedTuple):
    """A function of this package and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def run(job: Job) -> Any:
    """Do it; what recorded tools have for schemas is not our subject."""
    with gathered_faults():
        return job.function(*job.arguments)
