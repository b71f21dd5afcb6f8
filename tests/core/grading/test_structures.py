"""`json_schema` and `tool_call`."""

import pytest

from taskrouter import Step
from taskrouter.errors import ConfigurationError
from taskrouter.grading import Grade, Graders

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def graded(case, view):
    result = Graders().grade(case, view)
    assert isinstance(result, Grade), result
    return result


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('{"n": 1}', 1),
        ('Here:\n```json\n{"n": 1}\n```', 1),
        ('{"n": "1"}', 0),
        ("n = 1", 0),
        ("[" * 100_000, 0),
        ("", 0),
    ],
)
def test_an_answer_satisfies_a_schema_or_not(case, view, text, right):
    assert graded(case(kind="json_schema", schema=SCHEMA), view(text)).score == right


def test_the_schema_of_the_step_is_used_where_the_grader_has_none(case, view):
    step = Step(messages=[{"role": "user", "content": "?"}], response_schema=SCHEMA)
    result = graded(case(kind="json_schema", step=step, fenced=False), view('{"n": "secret"}'))
    assert result.score == 0
    assert result.detail == "breaks properties/n/type"


def test_many_opening_fences_take_no_time(case, view):
    assert graded(case(kind="json_schema", schema=SCHEMA), view("```" + "\n" * 100_000)).score == 0


def test_a_schema_that_is_none_is_refused(case):
    with pytest.raises(ConfigurationError, match=r"'schema': no JSON Schema: at type: wrong 'anyOf'"):
        case(kind="json_schema", schema={"type": "dict"})


CALL = {"name": "book", "arguments": {"city": "Oslo", "nights": 2}}
OTHER = {"name": "mail", "arguments": {}}
BOOKED = ("book", '{"nights": 2.0, "city": " oslo"}')
MAILED = ("mail", "")


@pytest.mark.parametrize(
    ("expected", "calls", "options", "right"),
    [
        (CALL, [BOOKED], {}, 1),
        (CALL, [BOOKED], {"strict": True}, 0),
        ([CALL, OTHER], [MAILED, BOOKED], {}, 1),
        ([CALL, OTHER], [MAILED, BOOKED], {"order": True}, 0),
        ([CALL, OTHER], [BOOKED], {}, 0),
        ([CALL, OTHER], [BOOKED], {"partial": True}, 0.5),
        (CALL, [BOOKED, BOOKED], {}, 0),
        (CALL, [BOOKED, BOOKED], {"partial": True}, 0.5),
        (CALL, [("book", '{"city": "Oslo", "nights": 2, "pet": "cat"}')], {}, 0),
        (CALL, [("book", '{"city": "Oslo", "nights": 2, "pet": "cat"}')], {"extra_arguments": True}, 1),
        (CALL, [("book", "not json")], {}, 0),
        (CALL, [("book", "[1]")], {}, 0),
        ({"name": "book"}, [BOOKED], {}, 1),
        ([], [], {}, 1),
        ([], [BOOKED], {}, 0),
        ([], [], {"partial": True}, 1),
    ],
)
def test_tool_calls_are_as_expected_or_not(case, view, expected, calls, options, right):
    assert graded(case(expected, kind="tool_call", **options), view("", *calls)).score == right
