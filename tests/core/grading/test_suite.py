"""Suites: what is read, and what is refused with file and line and without a word of what stands there."""

import json

import pytest

from taskrouter.errors import ConfigurationError
from taskrouter.grading import parse_grader, read_suite

SECRET = "the secret prompt"


def line(id_="1", **more):
    return {"id": id_, "messages": [{"role": "user", "content": SECRET}], **more}


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        path = tmp_path / "cases.jsonl"
        texts = (text if isinstance(text, str) else json.dumps(text) for text in lines)
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return path

    return write


EXACT = {"kind": "exact"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def test_a_case_has_all_that_a_step_has(write):
    full = line(
        tools=[TOOL],
        response_schema={"type": "object"},
        context={"agent": "clerk", "node": "extract", "tags": ["a"]},
        task_type="extraction",
        expected="x",
        grader=EXACT,
    )
    (case,) = read_suite(write(full)).cases
    assert (case.id, case.expected, case.grader.kind) == ("1", "x", "exact")
    assert (case.step.context.agent, case.step.context.node, case.step.task_type) == ("clerk", "extract", "extraction")
    assert case.step.tools == [TOOL]
    assert SECRET not in repr(case)


def test_the_default_is_the_files_else_the_callers(write):
    numeric = {"defaults": {"grader": {"kind": "numeric", "absolute": 1}}}
    suite = read_suite(write(numeric, "", line(expected=3), line("2", expected="x", grader=EXACT)))
    assert [case.grader.kind for case in suite.cases] == ["numeric", "exact"]
    (case,) = read_suite(write(line(expected="x")), grader=parse_grader(EXACT)).cases
    assert case.grader.kind == "exact"


@pytest.mark.parametrize(("count", "warned"), [(1, "one case only"), (3, "3 cases only"), (10, "")])
def test_a_small_suite_is_read_with_a_warning(write, count, warned):
    suite = read_suite(write(*(line(n, expected="x", grader=EXACT) for n in range(count))))
    assert warned in " ".join(suite.warnings)
    assert bool(suite.warnings) == bool(warned)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{" + SECRET, ":2: not a JSON document"),
        ("[1]", ":2: a case is a JSON object, not a list"),
        ({"id": "2", "expected": SECRET}, ":2: 'messages': is missing"),
        (line("1", expected="x", grader=EXACT), ":2: the id '1' stands on line 1 too"),
        (line("2", expected="x"), ":2: no 'grader', and the suite has no default"),
        (line("2", grader=EXACT), ":2: a grader of kind 'exact' needs 'expected'"),
        (line("2", expect=SECRET), r":2: unknown key 'expect'; did you mean 'expected'\?"),
        (line("2", expected="x", grader={"kind": "vibes"}), ":2: grader: 'kind' must be one of exact"),
        (line("2", expected="x", grader={"kind": "exact", "strikt": 1}), "grader: unknown key 'strikt'; did you mean"),
        (line("2", grader={"kind": "regex", "pattern": "("}), ":2: grader: 'pattern': is no regular expression"),
        (line("2", expected=SECRET, grader={"kind": "numeric"}), ":2: 'expected' must be a number"),
        (line("2", expected=10**400, grader={"kind": "numeric"}), ":2: 'expected' must be a number"),
        (line("2", expected=SECRET, grader={"kind": "tool_call"}), ":2: 'expected' must be {\"name\""),
        (line("2", expected=[], grader=EXACT), ":2: 'expected' is an empty list"),
        (line("2", expected=["a", " "], grader={"kind": "contains"}), ":2: 'expected' must be a text"),
        (line("2", grader={"kind": "json_schema"}), ":2: a grader of kind 'json_schema' needs a 'schema'"),
        (line("2", response_schema={"type": "dict"}, grader={"kind": "json_schema"}), ":2: no JSON Schema: at type"),
        (line("2", tools=[{"name": SECRET}], expected="x", grader=EXACT), r":2: Step.tools\[0\] is no tool"),
        (line("2", context={"nod": "x"}, expected="x", grader=EXACT), ":2: unknown key 'context.nod'"),
        (line("2", context={"node": 3}, expected="x", grader=EXACT), ":2: StepContext.node is a int"),
        (line("2", task_type="poetry", expected="x", grader=EXACT), ":2: unknown task type 'poetry'"),
        ({"defaults": {"grader": EXACT}}, ":2: 'defaults' belong on the first line"),
    ],
)
def test_a_wrong_line_is_named_and_not_quoted(write, bad, said):
    path = write(line(expected="x", grader=EXACT), bad)
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_suite(path)
    assert str(path) in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "first", [{"defaults": 1}, {"defaults": {"grader": EXACT}, "x": 1}, {"defaults": {}}, {"defaults": {"grader": {}}}]
)
def test_wrong_defaults_are_named(write, first):
    with pytest.raises(ConfigurationError, match=r"cases\.jsonl:1: "):
        read_suite(write(first, line(expected="x")))


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_suite_is_an_error(write, text):
    with pytest.raises(ConfigurationError, match="holds no cases"):
        read_suite(write(text))


def test_a_suite_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_suite(tmp_path / "no.jsonl")
