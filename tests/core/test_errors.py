"""The error tree is the one that is drawn, errors travel between processes, and messages say what to change."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from taskrouter import errors
from taskrouter.decision import Rejection
from taskrouter.errors import (
    AllAttemptsFailedError,
    BadAnswer,
    BudgetExceededError,
    ConfigurationError,
    ExecutionError,
    FeedbackError,
    InvalidStepError,
    MissingExtraError,
    ModelCallError,
    NoEligibleModelError,
    PluginError,
    RateLimited,
    StreamBroken,
    TaskRouterError,
    Timeout,
)
from taskrouter.outcome import Attempt, ResponseView


def drawn_tree() -> dict[str, str | None]:
    """Read the tree in the docstring: every class with its parent. A dash leads to a child, a dot to a sibling."""
    lines = inspect.cleandoc(str(errors.__doc__)).split("\n\n")[1].splitlines()
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in lines:
        branch = max(line.rfind("├"), line.rfind("└"))
        parent = next((name for column, name in reversed(above) if column < branch), None)
        previous = parent
        for found in re.finditer(r"(?P<mark>[─·] )?(?P<name>[A-Z]\w+)(?:\([^)]*\))?", line.split(", also")[0]):
            name = found["name"]
            if found["mark"] == "─ ":
                parent = previous
            parents[name] = parent
            above.append((-1 if branch < 0 else found.start("name"), name))
            previous = name
    return parents


def tree() -> dict[str, str | None]:
    classes = [cls for cls in vars(errors).values() if inspect.isclass(cls) and cls.__module__ == errors.__name__]
    return {cls.__name__: cls.__bases__[0].__name__ if cls is not TaskRouterError else None for cls in classes}


def test_the_tree_in_the_docstring_is_the_tree_that_exists() -> None:
    assert drawn_tree() == tree()


def test_every_failed_call_has_a_code_of_its_own() -> None:
    kinds = [cls.kind for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, ModelCallError)]
    assert len(kinds) == len(set(kinds))
    assert all(re.fullmatch("[a-z_]+", kind) for kind in kinds)


def attempt(model: str) -> Attempt:
    return Attempt(index=1, model=model, role="primary", status="failed", error_type="rate_limited")


def all_failed() -> AllAttemptsFailedError:
    failures = [RateLimited("a", status=429, retry_after_s=3), StreamBroken("b", partial=ResponseView(text="half"))]
    return AllAttemptsFailedError(failures, [attempt("a"), attempt("b")])


EXAMPLES: list[TaskRouterError] = [
    ConfigurationError("router.toml: wrong"),
    PluginError("a plugin"),
    MissingExtraError("starlette", extra="simulate", wanted_for="the simulator"),
    InvalidStepError("Step.messages is empty"),
    NoEligibleModelError([Rejection(model="a", code="tools", detail="it has none")]),
    BudgetExceededError("the run's budget is spent", spent_usd=0.2, limit_usd=0.25),
    ModelCallError("a", status=418, retryable=True),
    RateLimited("a", status=429, retry_after_s=3),
    Timeout("a"),
    StreamBroken("b", partial=ResponseView(text="half"), status=500),
    all_failed(),
    FeedbackError("unknown decision"),
]


def pickled(error: Any) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes of our own


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("clone", [pickled, copy.copy, copy.deepcopy])
def test_errors_travel_between_processes_whole(error: TaskRouterError, clone: Callable[[object], object]) -> None:
    twin = clone(error)
    assert type(twin) is type(error)
    assert str(twin) == str(error)
    simple = {name: value for name, value in vars(error).items() if name != "partial"}
    assert {name: value for name, value in vars(twin).items() if name != "partial"} == simple


def test_a_group_keeps_its_errors_its_records_and_its_notes_when_it_travels() -> None:
    error = all_failed()
    error.add_note("while planning")
    twin = pickled(error)
    assert [(type(e), e.model) for e in twin.exceptions] == [(RateLimited, "a"), (StreamBroken, "b")]
    assert twin.exceptions[0].retry_after_s == 3
    assert twin.exceptions[1].partial.text == "half"
    assert twin.attempts == error.attempts
    assert twin.__notes__ == ["while planning"]


def test_a_group_can_be_split_and_each_part_keeps_the_records() -> None:
    error = all_failed()
    limited, rest = error.split(RateLimited)
    assert isinstance(limited, AllAttemptsFailedError)
    assert isinstance(rest, AllAttemptsFailedError)
    assert [type(e) for e in limited.exceptions] == [RateLimited]
    assert [type(e) for e in rest.exceptions] == [StreamBroken]
    assert limited.attempts == rest.attempts == error.attempts


def test_a_group_can_be_caught_whole_or_in_parts() -> None:
    seen: list[type[object]] = []
    try:
        raise all_failed()
    except* RateLimited as part:
        seen += [type(e) for e in part.exceptions]
    except* StreamBroken as part:
        seen += [type(e) for e in part.exceptions]
    assert seen == [RateLimited, StreamBroken]
    with pytest.raises(ExecutionError):
        raise all_failed()


def test_messages_say_what_happened_and_what_to_change() -> None:
    assert str(MissingExtraError("x", extra="report", wanted_for="the chart")) == (
        "the chart needs 'x', which is not installed: pip install 'taskrouter[report]'"
    )
    assert str(RateLimited("a", status=429, retry_after_s=1.5)) == (
        "model 'a' is rate limited (HTTP 429) and asked to retry after 1.5 s"
    )
    assert str(BadAnswer("a", detail="gave an empty answer")) == "model 'a' gave an empty answer"
    assert str(all_failed()).startswith("all 2 attempts failed on 'a', 'b'; the last error: model 'b' stopped")


def test_a_long_list_of_rejections_is_cut_in_the_message_only() -> None:
    rejections = [Rejection(model=f"m{i}", code="tools", detail="it has none") for i in range(8)]
    error = NoEligibleModelError(rejections)
    assert "'m4': it has none (and 3 more). Add a model that can" in str(error)
    assert len(error.rejections) == 8


def test_whether_a_call_may_be_repeated_follows_the_kind_unless_said() -> None:
    assert RateLimited("a").retryable
    assert not Timeout("a").retryable
    assert Timeout("a", retryable=True).retryable


def test_where_an_error_was_raised_is_told_without_its_words() -> None:
    def fail() -> None:
        raise ValueError("secret") from KeyError("secret")

    with pytest.raises(ValueError, match="secret") as caught:
        fail()
    assert re.fullmatch(rf"ValueError at {re.escape(__file__)}:\d+", errors.raised_at(caught.value))
    assert errors.raised_at(KeyError("secret")) == "KeyError"
