"""What an answer comes to: the same however it is dressed, different where anything may differ."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter import ResponseView, Router, Step, ToolCall, hookimpl
from taskrouter.answers import canonical
from taskrouter.errors import PluginError

ASKED = [{"role": "user", "content": "How many?"}]
STEP = Step(messages=ASKED)
CHOICES = Step(messages=[{"role": "user", "content": "Which?\nA) Rome\nB) Paris\nC) Oslo"}])

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"type": "integer", "default": 3},
        "limit": {"type": "number"},
        "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "stops": {"type": "array", "items": {"type": "number"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "hint": {"type": ["string", "null"]},
        "at": {"$ref": "#/$defs/place"},
        "shape": {
            "oneOf": [
                {"type": "object", "properties": {"kind": {"const": "box"}, "side": {"type": "number", "default": 1}}},
                {"type": "object", "properties": {"kind": {"const": "disc"}, "side": {"type": "number"}}},
            ]
        },
    },
    "required": ["city"],
    "$defs": {
        "place": {
            "type": "object",
            "properties": {"x": {"type": "number"}, "within": {"$ref": "#/$defs/place"}},
        }
    },
}
TOOLS = Step(
    messages=ASKED,
    tools=[
        {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}},
        {"type": "function", "function": {"name": "bare"}},
    ],
)
STRUCTURED = Step(messages=ASKED, response_schema=SCHEMA)


def of_text(text: str, step: Step = STEP) -> str | None:
    return canonical(ResponseView(text=text, finish_reason="stop"), step)


def called(*calls: tuple[str, Any]) -> str | None:
    tool_calls = tuple(
        ToolCall(name=name, arguments=given if isinstance(given, str) else json.dumps(given)) for name, given in calls
    )
    return canonical(ResponseView(tool_calls=tool_calls, text="I look it up."), TOOLS)


# --- tool calls and JSON --------------------------------------------------------------------------------------------

SAME: list[tuple[Any, Any]] = [
    ({"city": "Oslo", "limit": 5}, {"limit": 5.0, "city": "Oslo"}),
    ({"city": "Oslo", "days": 3}, {"city": "Oslo"}),
    ({"city": "Oslo", "days": 3.0}, {"city": "Oslo"}),
    ({"city": "Oslo", "days": 4.0}, {"city": "Oslo", "days": 4}),
    ({"city": " Oslo\n"}, {"city": "Oslo"}),
    ({"city": "Oslo", "unit": "C"}, {"city": "Oslo"}),
    ({"city": "Oslo", "note": None}, {"city": "Oslo"}),
    ({"city": "Oslo", "hint": None}, {"city": "Oslo"}),
    ({"city": "Oslo", "tags": ["a", "b"]}, {"city": "Oslo", "tags": ["b", "a"]}),
    ({"city": "Oslo", "stops": [1, 2.0]}, {"city": "Oslo", "stops": [1.0, 2]}),
    (
        {"city": "Oslo", "at": {"x": 1, "within": {"x": 2.0}}},
        {"city": "Oslo", "at": {"within": {"x": 2}, "x": 1.0}},
    ),
    ({"city": "Oslo", "shape": {"kind": "box", "side": 1}}, {"city": "Oslo", "shape": {"kind": "box"}}),
]
DIFFERENT: list[tuple[Any, Any]] = [
    ({"city": "Oslo"}, {"city": "oslo"}),
    ({"city": "Oslo", "days": 5}, {"city": "Oslo", "days": "5"}),
    ({"city": "Oslo", "days": 1}, {"city": "Oslo", "days": True}),
    ({"city": "Oslo", "unit": "F"}, {"city": "Oslo", "unit": "f"}),
    ({"city": "Oslo", "unit": "F"}, {"city": "Oslo"}),
    ({"city": "Oslo", "unit": None}, {"city": "Oslo"}),
    ({"city": "Oslo", "stops": [1, 2]}, {"city": "Oslo", "stops": [2, 1]}),
    ({"city": "Oslo", "tags": []}, {"city": "Oslo"}),
    ({"city": "Oslo", "extra": 5}, {"city": "Oslo", "extra": 5.0}),
    ({"city": "Oslo", "extra": None}, {"city": "Oslo"}),
    ({"city": "New  York"}, {"city": "New York"}),
    ({"city": "Oslo", "shape": {"kind": "disc", "side": 1}}, {"city": "Oslo", "shape": {"kind": "disc"}}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_arguments_that_mean_the_same_are_the_same(one: Any, other: Any) -> None:
    assert called(("weather", one)) == called(("weather", other)) is not None
    texts = [of_text(json.dumps(value), STRUCTURED) for value in (one, other)]
    assert texts[0] == texts[1] is not None


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_arguments_that_may_mean_something_else_differ(one: Any, other: Any) -> None:
    assert called(("weather", one)) != called(("weather", other))
    assert of_text(json.dumps(one), STRUCTURED) != of_text(json.dumps(other), STRUCTURED)


def test_the_order_of_parallel_calls_is_free_and_their_number_is_not() -> None:
    one, other = ("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})
    assert called(one, other) == called(other, one)
    assert called(one, one) != called(one)
    assert called(("bare", "")) == called(("bare", {}))
    assert called(("bare", {})) != called(("weather", {}))


@pytest.mark.parametrize("broken", ['{"city"', "{'city': 'Oslo'}", '{"x": NaN}', '{"x": 1e999}', '{"x": 1, "x": 2}'])
def test_what_is_no_json_agrees_with_nothing(broken: str) -> None:
    assert called(("weather", broken)) is None
    assert of_text(broken, STRUCTURED) is None


def test_json_that_is_nested_too_deeply_agrees_with_nothing() -> None:
    assert called(("bare", "[" * 100_000 + "]" * 100_000)) is None


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}], "anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"a": {"$ref": "#"}}, "oneOf": [{"$ref": "#/properties/a"}]},
        {"$ref": "https://example.com/x"},
        {"properties": [], "required": 5, "anyOf": {}, "type": 7, "items": True},
    ],
)
def test_a_schema_that_turns_in_circles_or_is_none_is_survived(schema: dict[str, Any]) -> None:
    tool = {"type": "function", "function": {"name": "odd", "parameters": schema}}
    view = ResponseView(tool_calls=(ToolCall(name="odd", arguments='{"a": {"a": 1.0}, "b": [null]}'),))
    assert canonical(view, Step(messages=ASKED, tools=[tool])) is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcde"), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(SCHEMA["properties"])), json_values), st.randoms())
def test_the_order_of_keys_makes_no_difference(given_: dict[str, Any], rng: Any) -> None:
    pairs = list(given_.items())
    rng.shuffle(pairs)
    one, other = called(("weather", given_)), called(("weather", dict(pairs)))
    assert one == other
    assert one is not None


# --- text -----------------------------------------------------------------------------------------------------------

ALIKE = [
    ["42", "42.", "**42**", "The answer is 42.", "First I add.\n\nThe final answer is: 42", "So \\boxed{42}.", "$42$",
     "thinking...\n#### 42", "Answer: 42", "Answer:\n42", "6 * 7 = 42", "x = 42", "42.0", "\\(42\\)", "+42", "84/2"],
    ["1,234.5", "1234.50", "\\boxed{1{,}234.5}".replace("{,}", ",")],
    ["1/2", "0.5", "\\frac{1}{2}", "\\boxed{\\dfrac12}".replace("12", "{1}{2}"), ".5", "5e-1"],
    ["-3", "\u22123", "The answer is -3."],
    ["50%", "50 %", "50 percent", "\\boxed{50\\%}", "Answer: 50.0%"],
    ["42 apples", "42 Apples.", "**42 apples**", "\\boxed{42\\text{ apples}}"],
    ["$18", "\\$18.00", "The answer is $18."],
    ["B", "(B)", "b)", "B.", "Option B", "**B**", "The answer is (B).", "\\boxed{B}", "\\boxed{\\text{(B)}}"],
    ["Paris", "paris.", "The Paris", "Answer: **Paris**", '"Paris"', "After much thought:\nThe answer is Paris."],
    ["Yes", "yes.", "YES!"],
]  # fmt: skip


@pytest.mark.parametrize("texts", ALIKE, ids=lambda texts: texts[0])
def test_the_same_final_answer_is_found_in_every_dress(texts: list[str]) -> None:
    found = {of_text(text) for text in texts}
    assert len(found) == 1, {text: of_text(text) for text in texts}
    assert None not in found


def test_different_final_answers_differ() -> None:
    apart = [texts[0] for texts in ALIKE]
    apart += ["42 kg", "42 g", "5 mW", "5 MW", "$42", "€42", "0.05", "42 (forty-two)", "4 out of 5", "10 - 3", "3,5"]
    apart += ["10:30", "Vitamin A", "Vitamin", "C. elegans", "C. difficile", "no solution when k = 2", "k = 2"]
    apart += ["\\boxed{3} and \\boxed{5}", "\\boxed{5}", "x = 5, y = 3", "x = 5", "1/2/2024", "2 1/2"]
    found = [of_text(text) for text in apart]
    assert None not in found
    assert len(set(found)) == len(found) - 1, "x = 5 and a boxed 5 alone are the same"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n ",
        "I don't know.",
        "Sorry, I cannot help with that.",
        "Which city do you mean?",
        "The document does not contain this.",
        "Let me check.",
        "```python\nprint(1)\n```",
        "Well, " * 13,
        "The answer is a matter of taste, of time, of money, and of much else besides, as it always was.",
        "x" * 200,
        "这是一个很长的句子里面没有空格但是它显然不是一个简短的答案而是一段解释",
    ],
)
def test_what_is_no_short_answer_agrees_with_nothing(text: str) -> None:
    assert of_text(text) is None


def test_a_letter_with_words_is_a_choice_where_it_is_one_of_the_options() -> None:
    assert of_text("B) Paris", CHOICES) == of_text("B. Paris, of course", CHOICES) == of_text("(B)", CHOICES)
    assert of_text("B) Paris") != of_text("B")
    assert of_text("A) Rome and B) Paris", CHOICES) != of_text("A", CHOICES)
    assert of_text("D) Bonn", CHOICES) != of_text("D", CHOICES)


def test_a_text_that_was_cut_off_or_refused_agrees_with_nothing() -> None:
    assert canonical(ResponseView(text="42", finish_reason="length"), STEP) is None
    assert canonical(ResponseView(text="42", refused=True), STEP) is None


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert of_text(text) == of_text(text)
    of_text("\\boxed{" + text + "}")


@given(st.fractions(max_denominator=1000), st.sampled_from(["{}", "The answer is {}.", "\\boxed{{{}}}", "#### {}"]))
def test_a_number_is_compared_by_its_value(number: Any, dress: str) -> None:
    assert of_text(dress.format(number)) == f"number {number}"


# --- readers of the user's ------------------------------------------------------------------------------------------


class Readers:
    """A plugin."""

    def __init__(self, **readers: Any) -> None:
        self.readers = readers

    @hookimpl
    def taskrouter_answers(self) -> dict[str, Any]:
        return self.readers


def test_the_first_reader_that_returns_text_decides_and_one_that_raises_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(step: Step, view: ResponseView) -> str:
        raise ValueError(view.text)

    readers = {
        "broken": broken,
        "odd": lambda step, view: 7,
        "silent": lambda step, view: None,
        "first": lambda step, view: view.text[:1],
        "never": lambda step, view: "never",
    }
    with caplog.at_level(logging.WARNING):
        assert canonical(ResponseView(text="secret"), STEP, readers) == "s"
    messages = [record.getMessage() for record in caplog.records]
    assert [message.split(" at ")[0] for message in messages] == [
        "the reader 'broken' raised ValueError",
        "the reader 'odd' returned a int; it must return text or None",
    ]
    assert "secret" not in caplog.text


@pytest.mark.parametrize("reader", [str, 7, None])
def test_a_reader_is_a_plain_function(reader: Any) -> None:
    with pytest.raises(PluginError, match="'mine'"):
        Router(["openai/gpt-4o-mini"], plugins=[Readers(mine=reader)])


async def test_an_asynchronous_reader_is_refused() -> None:
    async def later(step: Step, view: ResponseView) -> str:
        return ""

    with pytest.raises(PluginError, match="plain function"):
        Router(["openai/gpt-4o-mini"], plugins=[Readers(mine=later)])
