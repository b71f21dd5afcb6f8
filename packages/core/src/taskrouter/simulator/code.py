"""Python functions that a prompt may ask for: a small shelf, each with a plausible wrong twin."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import NamedTuple


class Template(NamedTuple):
    """A function on the shelf."""

    asked: str
    """Regular expression over the prompt."""
    name: str
    signature: str
    doc: str
    right: str
    wrong: str
    """A body that runs and is wrong."""


_SHELF = (
    Template(
        r"fibonacci",
        "fibonacci",
        "n: int) -> int",
        "Return the n-th Fibonacci number; the 0th is 0.",
        "a, b = 0, 1\nfor _ in range(n):\n    a, b = b, a + b\nreturn a",
        "a, b = 0, 1\nfor _ in range(n):\n    a, b = b, a + b\nreturn b",
    ),
    Template(
        r"factorial",
        "factorial",
        "n: int) -> int",
        "Return n!.",
        "result = 1\nfor factor in range(2, n + 1):\n    result *= factor\nreturn result",
        "result = 1\nfor factor in range(2, n):\n    result *= factor\nreturn result",
    ),
    Template(
        r"\bprime",
        "is_prime",
        "n: int) -> bool",
        "Tell whether n is a prime number.",
        "if n < 2:\n    return False\nreturn all(n % d for d in range(2, int(n**0.5) + 1))",
        "return all(n % d for d in range(2, int(n**0.5) + 1))",
    ),
    Template(
        r"palindrome",
        "is_palindrome",
        "text: str) -> bool",
        "Tell whether the text reads the same backwards, ignoring case and punctuation.",
        "letters = [c.lower() for c in text if c.isalnum()]\nreturn letters == letters[::-1]",
        "return text == text[::-1]",
    ),
    Template(
        r"greatest common divisor|\bgcd\b",
        "gcd",
        "a: int, b: int) -> int",
        "Return the greatest common divisor.",
        "while b:\n    a, b = b, a % b\nreturn abs(a)",
        "while b:\n    a, b = b, a % b\nreturn b",
    ),
    Template(
        r"fizz\s?buzz",
        "fizzbuzz",
        "n: int) -> list[str]",
        "Return the FizzBuzz words from 1 to n.",
        'return ["Fizz" * (i % 3 == 0) + "Buzz" * (i % 5 == 0) or str(i) for i in range(1, n + 1)]',
        'return ["Fizz" * (i % 3 == 0) + "Buzz" * (i % 5 == 0) or str(i) for i in range(1, n)]',
    ),
    Template(
        r"revers",
        "reverse",
        "text: str) -> str",
        "Return the text backwards.",
        "return text[::-1]",
        "return text[::-2]",
    ),
    Template(
        r"median",
        "median",
        "values: list[float]) -> float",
        "Return the median.",
        "ordered = sorted(values)\nmiddle = len(ordered) // 2\n"
        "return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2",
        "return sorted(values)[len(values) // 2]",
    ),
    Template(
        r"average|\bmean\b",
        "mean",
        "values: list[float]) -> float",
        "Return the arithmetic mean.",
        "return sum(values) / len(values)",
        "return sum(values) / (len(values) - 1)",
    ),
    Template(
        r"duplicate|unique|dedup",
        "unique",
        "values: list) -> list",
        "Return the values without repeats, in their order.",
        "return list(dict.fromkeys(values))",
        "return values",
    ),
    Template(
        r"count\w* .{0,20}words|word count|word frequenc",
        "count_words",
        "text: str) -> dict[str, int]",
        "Return how often each word occurs.",
        "counts: dict[str, int] = {}\nfor word in text.lower().split():\n"
        "    counts[word] = counts.get(word, 0) + 1\nreturn counts",
        "return {word: 1 for word in text.lower().split()}",
    ),
    Template(
        r"\bsort",
        "sort_values",
        "values: list) -> list",
        "Return the values in ascending order.",
        "return sorted(values)",
        "return sorted(values, reverse=True)",
    ),
    Template(
        r"\b(sums?|adds?|totals?)\b",
        "add",
        "*values: float) -> float",
        "Return the sum of the values.",
        "return sum(values)",
        "return sum(values[1:])",
    ),
    Template(
        r"maximum|\bmax\b|largest",
        "largest",
        "values: list[float]) -> float",
        "Return the largest value.",
        "return max(values)",
        "return min(values)",
    ),
)


def write(prompt: str, *, wrong: bool) -> str:
    """Return a fenced Python function for the prompt."""
    template = next((t for t in _SHELF if re.search(t.asked, prompt, re.IGNORECASE)), None)
    named = re.search(r"\b(?:def\s+|(?:called|named)\s+`?|function\s+`)([a-z_]\w*)", prompt)
    if template is None:
        name = named.group(1) if named else "solve"
        body = f"def {name}(*args):\n    raise NotImplementedError('the simulator has no template for this function')"
        return f"```python\n{body}\n```"
    name = named.group(1) if named else template.name
    body = textwrap.indent(template.wrong if wrong else template.right, "    ")
    return f'```python\ndef {name}({template.signature}:\n    """{template.doc}"""\n{body}\n```'


def syntax_problem(text: str) -> str | None:
    """Say what is wrong with the fenced Python in a text, or None when there is none or it parses."""
    for block in re.findall(r"```(?:python|py)\n(.*?)```", text, re.DOTALL):
        try:
            ast.parse(block)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            return f"the code does not parse: {getattr(error, 'msg', 'it is no Python')}"
    return None
