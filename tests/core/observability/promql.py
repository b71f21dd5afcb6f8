"""What a PromQL expression asks for: the series it selects, and the labels that it groups or joins by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql

NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Selection:
    """A selector."""

    names: re.Pattern[str]
    """Matches the whole name of its metrics."""
    labels: frozenset[str]
    """Labels that its matchers ask for."""


def selections(expression: str) -> list[Selection]:
    """Return the selectors of an expression; one that is no PromQL raises."""
    return [_selection(node) for node in _nodes(promql.parse(expression)) if isinstance(node, promql.VectorSelector)]


def grouping(expression: str) -> set[str]:
    """Return the labels of `by`, `without`, `on`, `ignoring` and `group_left`; `le` is every histogram's."""
    found: set[str] = set()
    for node in _nodes(promql.parse(expression)):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)
        elif isinstance(node, promql.BinaryExpr) and node.modifier is not None:
            if node.modifier.matching is not None:
                found.update(node.modifier.matching.labels)
            found.update(node.modifier.group_labels or ())
    return found - {"le"}


def _selection(node: Any) -> Selection:
    matchers = {matcher.name: matcher for matcher in node.matchers.matchers}
    if node.name:
        names = re.escape(node.name)
    else:
        by_name = matchers[NAME]
        names = by_name.value if by_name.op == promql.MatchOp.Re else re.escape(by_name.value)
    return Selection(re.compile(names), frozenset(matchers) - {NAME})


def _nodes(node: Any) -> Iterator[Any]:
    """Yield a node and all below it."""
    yield node
    if isinstance(node, promql.Call):
        children = list(node.args)
    elif isinstance(node, promql.BinaryExpr):
        children = [node.lhs, node.rhs]
    elif isinstance(node, promql.MatrixSelector):
        children = [node.vector_selector]
    else:
        children = [getattr(node, "expr", None)]
    for child in children:
        if child is not None:
            yield from _nodes(child)
