"""Berkeley Function-Calling Leaderboard: results, scores and questions of both layouts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.core.evaluation.public_files import CHEAP, DEAR, lay_out

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports import import_results
from taskrouter.evaluation.imports.calls import calls_are_valid, canonical_calls, json_schema, read_calls, tool
from taskrouter.evaluation.recordings import read_recordings

AREA = {
    "name": "plot.area",
    "description": "Area of a plot of land.",
    "parameters": {
        "type": "dict",
        "properties": {
            "width": {"type": "float"},
            "corner": {"type": "tuple", "items": {"type": "integer"}},
            "unit": {"type": "string", "enum": ["m", "ft"]},
            "extra": {"type": "any"},
        },
        "required": ["width"],
    },
}
QUESTIONS = [
    {"id": f"simple_{n}", "question": [[{"role": "user", "content": f"Area of plot {n}?"}]], "function": [AREA]}
    for n in range(3)
]


def result(n, text, **more):
    counted = {"input_token_count": 100, "output_token_count": 20, "latency": 0.5}
    return {"id": f"simple_{n}", "result": text, **counted, **more}


def failed(number, key):
    return {"id": number, "valid": False, "error": ["wrong"], "prompt": {"id": key}}


def totals(right, total):
    return {"accuracy": right / total, "correct_count": right, "total_count": total}


@pytest.fixture
def snapshot(tmp_path):
    return lay_out(
        tmp_path / "2024-12-29",
        {
            f"result/{CHEAP}/BFCL_v3_simple_result.json!": [
                result(0, "[plot.area(width=5)]"),
                result(1, "[plot.area(width='wide')]"),
                result(2, "I cannot tell."),
            ],
            f"score/{CHEAP}/BFCL_v3_simple_score.json!": [totals(1, 3), failed(2, "simple_1"), failed(3, "simple_2")],
            f"result/{DEAR}-FC/BFCL_v3_simple_result.json!": [
                result(n, [{"plot_area": json.dumps({"width": 5.0})}]) for n in range(3)
            ],
            f"score/{DEAR}-FC/BFCL_v3_simple_score.json!": [totals(3, 3)],
        },
    )


@pytest.fixture
def gorilla(tmp_path):
    return lay_out(
        tmp_path / "gorilla",
        {
            "berkeley-function-call-leaderboard/data/BFCL_v3_simple.json!": QUESTIONS,
            "berkeley-function-call-leaderboard/data/possible_answer/BFCL_v3_simple.json!": [{"id": "simple_0"}],
        },
    )


def read(snapshot, gorilla, **options):
    return import_results("bfcl", snapshot, questions=gorilla, **options)


def test_scores_come_from_the_listed_failures(snapshot, gorilla):
    found = read(snapshot, gorilla)
    scores = {row.id: (row.outcomes[CHEAP].score, row.outcomes[f"{DEAR}-FC"].score) for row in found.rows}
    assert scores == {"bfcl/simple_0": (1, 1), "bfcl/simple_1": (0, 1), "bfcl/simple_2": (0, 1)}


def test_costs_are_measured_tokens_at_list_price(snapshot, gorilla):
    outcome = read(snapshot, gorilla).rows[0].outcomes[CHEAP]
    assert outcome.cost_usd == pytest.approx((100 * 0.15 + 20 * 0.6) / 1e6)
    assert (outcome.input_tokens, outcome.output_tokens, outcome.latency_s) == (100, 20, 0.5)


def test_the_same_call_is_the_same_answer_in_text_and_natively(snapshot, gorilla):
    outcomes = read(snapshot, gorilla).rows[0].outcomes
    assert outcomes[CHEAP].answer == outcomes[f"{DEAR}-FC"].answer == '[["plot_area", {"width": 5.0}]]'


def test_a_call_is_checked_against_its_schema_and_no_call_is_not(snapshot, gorilla):
    rows = read(snapshot, gorilla).rows
    assert [row.outcomes[CHEAP].valid for row in rows] == [True, False, None]
    assert rows[2].outcomes[CHEAP].answer == "no call"


def test_the_recording_is_one_that_evaluate_reads(snapshot, gorilla, tmp_path):
    path = tmp_path / "bfcl.jsonl.gz"
    read(snapshot, gorilla).write(path)
    recording = read_recordings([path])
    assert recording.models == (f"{DEAR}-FC", CHEAP)
    step = recording.prompts[0].step
    assert step.context.node == "simple"
    assert step.tools[0]["function"]["name"] == "plot_area"
    Draft202012Validator.check_schema(step.tools[0]["function"]["parameters"])


def test_the_same_files_give_the_same_bytes(snapshot, gorilla, tmp_path):
    for name in ("a.gz", "b.gz"):
        read(snapshot, gorilla).write(tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_version_1_numbers_results_from_0_and_failures_from_1(tmp_path):
    questions = [{"question": f"Area of plot {n}?", "function": AREA} for n in range(2)]
    gorilla = lay_out(tmp_path / "g", {"data/gorilla_openfunctions_v1_test_simple.json!": questions})
    snapshot = lay_out(
        tmp_path / "2024-07-06",
        {
            f"result-BFCL/{CHEAP}/gorilla_openfunctions_v1_test_simple_result.json!": [
                {"idx": n, "result": "[plot.area(width=1)]", "input_token_count": 9, "output_token_count": 9}
                for n in range(2)
            ],
            f"score-BFCL/{CHEAP}/simple_score.json!": [
                totals(1, 2),
                {"id": 2, "valid": False, "prompt": {"question": "Area of plot 1?"}},
            ],
        },
    )
    rows = read(snapshot, gorilla).rows
    assert [row.outcomes[CHEAP].score for row in rows] == [1, 0]
    assert rows[1].messages == [{"role": "user", "content": "Area of plot 1?"}]


def test_groups_of_version_4_are_found(tmp_path):
    gorilla = lay_out(
        tmp_path / "g", {"bfcl_eval/data/BFCL_v4_simple_python.json!": [{**QUESTIONS[0], "id": "simple_python_0"}]}
    )
    snapshot = lay_out(
        tmp_path / "s",
        {
            f"result/{CHEAP}/non_live/BFCL_v4_simple_python_result.json!": [
                result(0, "[plot.area(width=1)]", id="simple_python_0")
            ],
            f"score/{CHEAP}/non_live/BFCL_v4_simple_python_score.json!": [
                totals(0, 1),
                {"id": "simple_python_0", "valid": False},
            ],
        },
    )
    assert read(snapshot, gorilla).rows[0].outcomes[CHEAP].score == 0


def test_what_cannot_be_used_is_counted(snapshot, gorilla):
    lay_out(
        snapshot,
        {
            f"result/{CHEAP}/BFCL_v3_multi_turn_base_result.json!": [{"id": "multi_turn_base_0", "result": [[]]}],
            f"result/{CHEAP}/BFCL_v3_parallel_result.json!": [{"id": "parallel_0", "result": "[f()]"}],
            "result/nobody-knows-7b/BFCL_v3_simple_result.json!": [result(0, "[plot.area(width=5)]")],
        },
    )
    found = read(snapshot, gorilla)
    assert found.skipped == {
        "files of multi_turn_base: a question takes several calls": 1,
        "files of results without a file of scores": 1,
    }
    assert found.skipped_models == {"nobody-knows-7b": "no price of it is known"}


def test_calls_that_failed_are_no_answers(snapshot, gorilla):
    lines = [result(n, "[plot.area(width=5)]") for n in range(2)] + [result(2, "Error during inference: timeout")]
    lay_out(snapshot, {f"result/{CHEAP}/BFCL_v3_simple_result.json!": lines})
    found = read(snapshot, gorilla, models=["gpt-4o*"])
    assert [row.id for row in found.rows] == ["bfcl/simple_0", "bfcl/simple_1"]
    assert found.skipped["answers that never came: the call itself failed"] == 1
    assert found.skipped["prompts without an outcome of every model"] == 1


def test_scores_that_do_not_add_up_are_not_believed(snapshot, gorilla):
    lay_out(snapshot, {f"score/{CHEAP}/BFCL_v3_simple_score.json!": [totals(1, 3), failed(2, "simple_1")]})
    found = read(snapshot, gorilla)
    assert found.models == (f"{DEAR}-FC",)
    assert found.skipped["files of scores whose failures do not add up to their totals"] == 1


def test_without_scores_there_is_an_error_and_not_an_empty_file(snapshot, gorilla):
    for path in snapshot.rglob("*_score.json"):
        path.unlink()
    with pytest.raises(ConfigurationError, match="2 files of results without a file of scores"):
        read(snapshot, gorilla)


def test_the_questions_must_be_named(snapshot):
    with pytest.raises(ConfigurationError, match="--questions"):
        import_results("bfcl", snapshot)


def test_questions_of_another_version_are_an_error(snapshot, gorilla):
    data = gorilla / "berkeley-function-call-leaderboard/data"
    (data / "BFCL_v3_simple.json").rename(data / "BFCL_v4_simple_python.json")
    with pytest.raises(ConfigurationError, match=r"missing: BFCL_v3_simple\.json"):
        read(snapshot, gorilla)


def test_a_clone_with_several_dates_asks_for_one(snapshot, gorilla):
    with pytest.raises(ConfigurationError, match="name the folder of one: 2024-12-29"):
        read(snapshot.parent, gorilla)


def test_a_folder_of_something_else_says_what_was_looked_for(tmp_path, gorilla):
    with pytest.raises(ConfigurationError, match="looked for the folders 'result' and 'score'"):
        read(tmp_path / "gorilla", gorilla)
    with pytest.raises(ConfigurationError, match=r"looked for BFCL_v\*\.json"):
        read(lay_out(tmp_path / "s", {"result/x": "", "score/x": ""}), tmp_path / "s")


def test_a_damaged_line_is_named_and_not_quoted(snapshot, gorilla):
    path = next(snapshot.rglob("*_result.json"))
    path.write_text('{"id": "simple_0"}\n{"secret words\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"_result\.json:2: not JSON") as caught:
        read(snapshot, gorilla)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[f(a=1, b='x')]",
        "f(a=1, b='x')",
        "```python\n[f(a=1, b='x')]\n```",
        '[{"f": {"a": 1, "b": "X"}}]',
        '[{"name": "f", "arguments": {"a": 1.0, "b": "x"}}]',
    ],
)
def test_one_call_in_its_several_spellings(text):
    calls = read_calls(text)
    assert calls is not None
    assert canonical_calls(calls) == '[["f", {"a": 1.0, "b": "x"}]]'


def test_the_order_of_parallel_calls_does_not_matter():
    one, other = read_calls("[f(a=1), g(b=2)]"), read_calls("[g(b=2), f(a=1)]")
    assert one
    assert other
    assert canonical_calls(one) == canonical_calls(other)


@pytest.mark.parametrize("broken", ["[f(a=", "[f(a=1), 3]", "(" * 5000, "[" * 60_000, "f(\x00)"])
def test_a_call_that_cannot_be_read_is_none(broken):
    assert read_calls(broken) is None


def test_arguments_without_names_are_invalid():
    calls = read_calls("[plot.area(5)]")
    assert calls == [("plot.area", None)]
    assert not calls_are_valid(calls, [tool(AREA)])


def test_types_of_other_languages_become_those_of_json_schema():
    written = {
        "type": "dict",
        "properties": {
            "a": {"type": "float"},
            "b": {"type": "tuple", "items": [{"type": "int"}, {"type": "String"}]},
            "c": {"type": "any", "enum": []},
            "d": {"type": "HashMap", "properties": {"e": {"type": "ArrayList", "items": {"type": "Boolean"}}}},
            "f": {"type": "string", "required": True},
        },
        "required": ["a", "a"],
    }
    schema = json_schema(written)
    assert schema == {
        "type": "object",
        "properties": {
            "a": {"type": "number"},
            "b": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
            "c": {},
            "d": {"type": "object", "properties": {"e": {"type": "array", "items": {"type": "boolean"}}}},
            "f": {"type": "string"},
        },
        "required": ["a"],
    }
    Draft202012Validator.check_schema(schema)


@given(st.text())
def test_any_text_is_read_or_refused_without_an_exception(text):
    calls = read_calls(text)
    assert calls is None or isinstance(canonical_calls(calls), str)


def test_tokens_that_nobody_counted_are_estimated_and_said(snapshot, gorilla):
    lines = [result(n, "[plot.area(width=5)]", input_token_count=0) for n in range(3)]
    lay_out(snapshot, {f"result/{CHEAP}/BFCL_v3_simple_result.json!": lines})
    found = read(snapshot, gorilla, models=[CHEAP])
    assert found.rows[0].outcomes[CHEAP].output_tokens == 5
    assert found.notes == ("tokens that nobody counted are estimated from the length of the text",)


def test_questions_that_cannot_be_asked_are_counted(snapshot, tmp_path):
    questions = [
        {**QUESTIONS[0], "question": [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]]},
        {**QUESTIONS[1], "function": [{"name": "f", "parameters": {"type": "dict", "properties": {}, "minimum": "x"}}]},
        {**QUESTIONS[2], "question": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "c"}]},
    ]
    gorilla = lay_out(tmp_path / "g2", {"BFCL_v3_simple.json!": questions})
    found = read(snapshot, gorilla, models=[CHEAP])
    assert [row.messages[0]["content"] for row in found.rows] == ["Be brief."]
    assert found.skipped == {
        "questions in simple with several turns, or without functions": 1,
        "questions with a schema that cannot be mended": 1,
        "answers in simple whose question is not known": 2,
    }


def test_java_is_not_judged_by_json_schema(tmp_path):
    question = {"id": "java_0", "question": [[{"role": "user", "content": "Area?"}]], "function": [AREA]}
    gorilla = lay_out(tmp_path / "g", {"data/BFCL_v3_java.json!": [question]})
    snapshot = lay_out(
        tmp_path / "s",
        {
            f"result/{CHEAP}/BFCL_v3_java_result.json!": [result(0, "[plot.area(width='5.0f')]", id="java_0")],
            f"score/{CHEAP}/BFCL_v3_java_score.json!": [totals(1, 1)],
        },
    )
    assert read(snapshot, gorilla).rows[0].outcomes[CHEAP].valid is None


@pytest.mark.parametrize(
    "damaged", [{"result/x": 1}, [[1]], [{"f": "not json"}], [{"name": "f", "arguments": 3}], 7, [{"f": None}]]
)
def test_results_of_any_other_form_are_no_answer(damaged):
    calls = read_calls(damaged)
    assert calls is None or all(arguments is None for _, arguments in calls)
