"""What the simulated models say: useful, deterministic, and wrong in a way that a check finds."""

from __future__ import annotations

import json
import math
import operator

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskrouter.simulator import load
from taskrouter.simulator.answering import answer, is_wrong
from taskrouter.simulator.arithmetic import evaluate, show, solve
from taskrouter.simulator.code import write
from taskrouter.simulator.filling import fill, spoil
from taskrouter.simulator.request import parse


def ask(prompt, *, system=None, skill=1.0, seed=0, **fields):
    model = {"id": "m", "input_usd_per_million": 1, "output_usd_per_million": 1, "skill": skill}
    config = load({"models": [model]})
    messages = [{"role": "system", "content": system}] if system else []
    request = parse({"model": "m", "messages": [*messages, {"role": "user", "content": prompt}], **fields})
    return answer(request, config.models[0], seed=seed, index=0)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("What is 17 * 23?", "17 * 23 = 391"),
        ("Compute (2 + 3) * 4", "(2 + 3) * 4 = 20"),
        ("How much is 1,200 divided by 5?", "1200 / 5 = 240"),
        ("What is 12% of 250?", "12% of 250 = 30"),
        ("The average of 2, 4 and 9?", "average of 2, 4 and 9 = 5"),
        ("What is 1 / 3?", "1 / 3 = 0.333333"),
        ("Refunds take 14 days. Shipping costs 5 EUR. How long do refunds take?", "Refunds take 14 days."),
        ("Summarise the following text:\nThe cat sat. It was happy. Then it left.", "The cat sat. It was happy."),
        (
            "Plan a trip: book flights, find a hotel and choose museums.",
            "1. A trip: book flights\n2. Find a hotel\n3. Choose museums",
        ),
    ],
)
def test_small_tasks_are_done(prompt, expected):
    assert ask(prompt).text == expected


@pytest.mark.parametrize(
    ("prompt", "verdict"),
    [
        ("Question: what is 2 + 2? Answer: 2 + 2 = 4", "PASS"),
        ("Question: what is 2 + 2? Answer: 2 + 2 = 5", "FAIL: 2 + 2 is 4, not 5"),
        ("Context: refunds take 14 days.\nAnswer: 14 days.", "PASS"),
        ("Context: refunds take 14 days.\nAnswer: 30 days.", "FAIL: 30 is not in the given text"),
        ("```python\ndef f(:\n```", "FAIL: the code does not parse"),
        ("```python\ndef f(): return 1\n```", "PASS"),
    ],
)
def test_a_verifier_computes_parses_and_looks_up(prompt, verdict):
    assert ask(prompt, system="You are a verifier. Reply PASS or FAIL with a reason.").text.startswith(verdict)


def test_the_agents_role_decides_over_the_users_words():
    assert ask("Write a function that adds numbers.", system="You are the planner of a team.").text.startswith("1. ")


@pytest.mark.parametrize(
    ("prompt", "call", "expected"),
    [
        ("Write a Python function for the factorial of n", "factorial(5)", 120),
        ("Implement a function called `fib` that gives Fibonacci numbers", "fib(10)", 55),
        (
            "Write a function to test whether a number is prime",
            "[n for n in range(12) if is_prime(n)]",
            [2, 3, 5, 7, 11],
        ),
        ("Write a function that finds the median of a list", "median([4, 1, 3, 2])", 2.5),
        ("Write a function that checks for a palindrome", "is_palindrome('Never odd or even')", True),
    ],
)
def test_code_runs_and_its_wrong_twin_runs_wrongly(prompt, call, expected):
    assert run(write(prompt, wrong=False), call) == expected
    assert run(write(prompt, wrong=True), call) != expected
    assert ask(prompt).text == write(prompt, wrong=False)


def run(fenced, call):
    scope: dict[str, object] = {}
    exec(fenced.removeprefix("```python\n").removesuffix("```"), scope)  # noqa: S102 - our own templates
    return eval(call, scope)  # noqa: S307


def test_an_unskilled_model_is_wrong_in_every_kind_of_answer():
    assert ask("What is 6 * 7?", skill=0).text == "6 * 7 = 43"
    assert ask("Answer: 2 + 2 = 5. Verify it.", skill=0).text.startswith("PASS")
    assert "15 days" in ask("Refunds take 14 days. How long do refunds take?", skill=0).text
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    assert json.loads(ask("Bob is of age 42.", skill=0, response_format=wanted).text) == {"age": 43}


def test_a_wrong_answer_stays_wrong_and_the_share_follows_the_skill():
    config = load({"models": [{"id": "m", "input_usd_per_million": 1, "output_usd_per_million": 1, "skill": 0.7}]})
    requests = [parse({"model": "m", "messages": [{"role": "user", "content": f"Task {n}"}]}) for n in range(1_000)]
    wrong = [is_wrong(request, config.models[0], 5) for request in requests]
    assert wrong == [is_wrong(request, config.models[0], 5) for request in requests]
    assert wrong != [is_wrong(request, config.models[0], 6) for request in requests]
    assert 0.25 < sum(wrong) / len(wrong) < 0.35


@given(st.integers(-10_000, 10_000), st.sampled_from("+-*/"), st.integers(1, 10_000))
def test_sums_are_right(left, sign, right):
    shown = f"What is {left} {sign} {right}?" if left >= 0 else f"What is ({left}) {sign} {right}?"
    solved = solve(shown)
    assert solved is not None
    operation = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[sign]
    assert math.isclose(solved[1], operation(left, right), abs_tol=1e-9)
    assert float(show(solved[1])) == pytest.approx(solved[1], abs=1e-6)


@pytest.mark.parametrize("text", ["9 ** 9 ** 9", "__import__('os')", "1 / 0", "(" * 300, "1" * 500, "2 +"])
def test_what_is_no_sum_is_not_computed(text):
    assert evaluate(text) is None


@given(st.text(max_size=300))
def test_any_prompt_gets_an_answer(prompt):
    given = ask(prompt)
    assert given.text
    assert given == ask(prompt)


NAMES = st.sampled_from(
    [
        *("city", "name", "email", "date", "amount", "price", "count", "urgent", "query"),
        *("status", "unit", "items", "tags", "id", "customer_name", "totalAmount", "x"),
    ]
)
STRINGS = st.builds(
    lambda low, extra, form: {"type": "string", "minLength": low, "maxLength": low + extra, **form},
    st.integers(0, 8),
    st.integers(4, 60),
    st.just({}),
) | st.sampled_from([{"type": "string"}, {"type": "string", "format": "date"}, {"type": "string", "format": "email"}])
NUMBERS = st.builds(
    lambda kind, low, width, step: {"type": kind, "minimum": low, "maximum": low + width, **step},
    st.sampled_from(["number", "integer"]),
    st.integers(-1_000, 1_000),
    st.integers(10, 500),
    st.sampled_from([{}, {"multipleOf": 5}, {"multipleOf": 0.5}]),
) | st.sampled_from([{"type": "number"}, {"type": "integer"}, {"type": "integer", "exclusiveMinimum": 3}])
LEAVES = st.one_of(
    STRINGS,
    NUMBERS,
    st.just({"type": "boolean"}),
    st.lists(st.sampled_from(["low", "high", "open", "closed", 3, None]), min_size=1, unique=True).map(
        lambda options: {"enum": options}
    ),
    st.just({"const": "fixed"}),
)


def arrays(items):
    return st.builds(
        lambda item, low, extra: {"type": "array", "items": item, "minItems": low, "maxItems": low + extra},
        items,
        st.integers(0, 3),
        st.integers(0, 3),
    )


@st.composite
def objects(draw, children):
    properties = draw(st.dictionaries(NAMES, children, max_size=5))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": draw(st.booleans()),
    }


def nullable(children):
    return children.map(lambda child: {"anyOf": [child, {"type": "null"}]})


SCHEMAS = objects(st.recursive(LEAVES, lambda c: arrays(c) | objects(c) | nullable(c), max_leaves=8))
TEXTS = st.sampled_from(
    [
        "",
        "Invoice from Jane Miller (jane@acme.io) dated 2025-03-02, amount 1,240.50, high priority, not urgent.",
        "items: chairs, lamp and rug. count: 3. status is open. Where is Oslo?",
        '{"name": "Bob", "tags": ["a", "b"], "price": 17}',
    ]
) | st.text(max_size=80)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, TEXTS)
def test_filled_schemas_validate_also_when_spoilt(schema, text):
    value = fill(schema, text)
    jsonschema.validate(value, schema)
    jsonschema.validate(spoil(value, schema), schema)
    assert value == fill(schema, text)


@settings(max_examples=50, deadline=None)
@given(SCHEMAS, TEXTS)
def test_tool_arguments_validate(schema, text):
    tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
    (call,) = ask(text, tools=tools).calls
    assert jsonschema.validators.validator_for(schema)(schema).is_valid(json.loads(call.arguments))


REFERRING = [
    {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"],
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["value", "next"],
            }
        },
    },
    {
        "type": "object",
        "properties": {"a": {"allOf": [{"type": "string"}, {"minLength": 3}]}, "b": {"type": ["integer", "null"]}},
        "required": ["a", "b"],
    },
    {
        "type": "object",
        "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}-\\d{4}$"}, "zip": {"pattern": "^\\d{5}$"}},
        "required": ["code", "zip"],
    },
    {
        "type": "object",
        "properties": {
            "picks": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True}
        },
        "required": ["picks"],
    },
    {"type": "object", "properties": {}, "required": ["free"], "additionalProperties": {"type": "integer"}},
]


@pytest.mark.parametrize("schema", REFERRING)
def test_references_unions_patterns_and_unique_items_are_filled(schema):
    value = fill(schema, "The value of order ABC-1234 is 7.")
    jsonschema.validate(value, schema)
    assert set(schema["required"]) <= set(value)


def test_optional_values_are_left_out_when_the_text_is_silent():
    schema = {
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}, "unit": {"enum": ["km", "mi"]}},
        "required": ["query"],
    }
    assert fill(schema, "Where is the depot?") == {"query": "Where is the depot"}
    assert fill(schema, "Where is the depot? limit: 5") == {"query": "Where is the depot", "limit": 5}
