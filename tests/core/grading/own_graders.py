"""Functions as users write them, good and bad, for graders of kind `python`."""

import threading
import time

GATE = threading.Event()
"""Whoever hangs waits for it; a test opens it at its end."""


def short(case, view):
    return len(view.text) < 20


def share(case, view):
    return 0.25


def raises(case, view):
    raise ValueError(view.text)


def leaves(case, view):
    raise SystemExit(3)


def times_out_itself(case, view):
    raise TimeoutError(view.text)


def hangs(case, view):
    GATE.wait(30)
    return True


def too_much(case, view):
    return 1.5


def nothing(case, view):
    return None


def not_a_number(case, view):
    return float("nan")


async def asynchronous(case, view):
    return True


def blocks_briefly(case, view):
    time.sleep(0)
    return True


NOT_CALLABLE = 3
