"""Sums that a prompt asks for, computed."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable

_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
MAX_CHARS = 4_000
"""Sums stand at the beginning of a prompt; further on, figures are data."""
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_EXPRESSION = re.compile(
    rf"(?<![\w.])[-(\s]{{0,5}}{_NUMBER}(?:[\s()]{{0,5}}[-+*/×÷x%][\s(-]{{0,5}}{_NUMBER})+[\s)]*(?![\w-])"
)
_WORDS = {"plus": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/", "over": "/"}
_PERCENT = re.compile(rf"({_NUMBER})\s*(?:%|percent)\s+of\s+\D{{0,20}}?({_NUMBER})", re.IGNORECASE)
_OVER_LIST = re.compile(
    rf"\b(sum|total|average|mean|product)\s+of\s+({_NUMBER}(?:\s*(?:,|and|,\s*and)\s*{_NUMBER})+)", re.IGNORECASE
)
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b")


def expression_in(text: str) -> str | None:
    """Return the first arithmetic expression in a text, as Python writes it, or None."""
    text = _DATE.sub(" ", text[:MAX_CHARS])
    for word, sign in _WORDS.items():
        text = re.sub(rf"(?<=\d)\s+{word}\s+(?=\d)", f" {sign} ", text, flags=re.IGNORECASE)
    match = _EXPRESSION.search(text)
    if match is None:
        return None
    found = match.group(0).strip()
    found = found.replace("×", "*").replace("÷", "/").replace("x", "*").replace(",", "")
    found += ")" * (found.count("(") - found.count(")"))
    return " ".join(found.split())


def solve(text: str) -> tuple[str, float] | None:
    """Return the sum that a text asks for and its value, or None when it asks for none."""
    text = text[:MAX_CHARS]
    if match := _PERCENT.search(text):
        share, base = map(_number, match.groups())
        return match.group(0), share * base / 100
    if match := _OVER_LIST.search(text):
        values = [_number(item) for item in re.findall(_NUMBER, match.group(2))]
        kind = match.group(1).lower()
        if kind == "product":
            return match.group(0), math.prod(values)
        return match.group(0), sum(values) / (len(values) if kind in {"average", "mean"} else 1)
    expression = expression_in(text)
    if expression is None:
        return None
    value = evaluate(expression)
    return None if value is None else (expression, value)


def evaluate(expression: str) -> float | None:
    """Compute an expression of numbers, signs and parentheses; None for anything else."""
    if len(expression) > 200:
        return None
    try:
        value = _value(ast.parse(expression, mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, MemoryError):
        return None
    return value if math.isfinite(value) else None


def show(value: float) -> str:
    """Write a number as people do: no `.0`, at most six decimals."""
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0").rstrip(".")


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError("not arithmetic")


def _number(text: str) -> float:
    return float(text.replace(",", ""))
