"""What is declared of a step comes first, then what the framework knows; what is wrong is named."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from taskrouter import ConfigurationError
from taskrouter.adapters import CALL_KEYS, STEP_KEYS, checked, identity, narrowed, trace_id

ALL = (*STEP_KEYS, *CALL_KEYS)


def test_what_is_declared_comes_first() -> None:
    found = identity({"agent": "boss", "tags": ["a"]}, agent="other", node="n", index=3, run_id=7, tags=["b"])
    context = found.context
    assert (context.agent, context.node, context.index, context.run_id) == ("boss", "n", 3, "7")
    assert context.tags == {"a", "b"}


def test_what_nobody_says_is_unknown() -> None:
    found = identity({})
    assert found == identity({}, agent=None)
    assert (found.context.agent, found.task_type, found.policy, found.model, found.dry_run) == (None,) * 4 + (False,)


def test_values_become_text() -> None:
    assert identity({"session_id": 12, "tenant": 4}).context.session_id == "12"
    assert identity({"index": 0}).context.index == 0


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"nod": 1}, "here: unknown key 'nod'; known keys: task, agent"),
        ({"task": "cooking"}, "here: unknown task type 'cooking'; known: "),
        ({"task": 3}, "here: task is a int; it must be text"),
        ({"model": ["x"]}, "here: model is a list; it must be text"),
        ({"dry_run": 1}, "here: dry_run is a int; it must be True or False"),
        ("text", "here is a str; it must be a mapping"),
        (None, "here is a NoneType; it must be a mapping"),
    ],
)
def test_a_wrong_declaration_is_named(said: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked(said, "here", ALL)
    assert message in str(caught.value)


def test_what_steers_a_call_is_not_taken_where_only_a_step_is_declared() -> None:
    assert checked({"policy": "economy"}, "here", ALL)
    with pytest.raises(ConfigurationError, match="unknown key 'policy'"):
        checked({"policy": "economy"}, "here")


@pytest.mark.parametrize("tags", ["night", 3])
def test_tags_are_a_collection_of_strings(tags: Any) -> None:
    with pytest.raises(ConfigurationError, match="tags is a collection of strings"):
        identity({"tags": tags})


def test_all_that_may_lead_elsewhere_is_in_the_routing_key() -> None:
    keys = {
        identity(said).routing_key
        for said in ({}, {"agent": "a"}, {"node": "a"}, {"tenant": "a"}, {"tags": ["a"]}, {"task": "chat"})
    }
    assert len(keys) == 6
    assert identity({"run_id": "1"}).routing_key == identity({"run_id": "2"}).routing_key


def test_the_trace_is_that_of_the_current_span() -> None:
    assert trace_id() is None
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        assert trace_id() == f"{span.get_span_context().trace_id:032x}"


def test_a_view_says_more_than_what_it_was_made_of_and_no_task_type_takes_none_away() -> None:
    before = narrowed({}, {"node": "plan", "task": "planning", "tenant": "acme"}, "for_node")
    assert narrowed(before, {"node": "draft", "task": None}, "for_node") == {**before, "node": "draft"}
    assert before == {"node": "plan", "task": "planning", "tenant": "acme"}


def test_tags_that_can_be_read_once_are_kept_for_every_call() -> None:
    declared = narrowed({}, {"tags": (tag for tag in ("slow", "eu"))}, "for_node")
    assert [identity(declared).context.tags for _ in range(2)] == [{"slow", "eu"}] * 2


@pytest.mark.parametrize(
    ("said", "message"),
    [({"nod": "x"}, "for_node: unknown key 'nod'"), ({"tags": "slow"}, "tags is a collection of strings")],
)
def test_what_is_wrong_with_a_view_is_said_when_it_is_made(said: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        narrowed({}, said, "for_node")
