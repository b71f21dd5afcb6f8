"""ZeroEval, MMLU-Pro, LLMRouter, RouteLLM: each layout, each score, each way to be refused."""

import io
import json
import zipfile

import pytest
from tests.core.evaluation.public_files import CHEAP, DEAR, lay_out

from taskrouter.errors import ConfigurationError
from taskrouter.evaluation.imports import SOURCES, import_results
from taskrouter.evaluation.recordings import read_recordings

# ZeroEval


def zero(id_, output, **more):
    return {"id": id_, "chat_history": [f"\n## Question: {id_}\n"], "output": [output], **more}


def said(answer, before="So:"):
    return f"{before}\n" + json.dumps({"reasoning": "because", "answer": answer})


def scores(found, model=CHEAP):
    return [row.outcomes[model].score for row in found.rows]


def zeroeval(tmp_path, task, *items):
    return import_results("zeroeval", lay_out(tmp_path, {f"result_dirs/{task}/{CHEAP}.json": list(items)}))


@pytest.mark.parametrize(
    ("output", "score"),
    [
        (said("$1,200 in all"), 1),
        (said(1200), 1),
        (said("1200.0"), 1),
        ('{"reasoning": "broken, "answer": "1200"', 1),
        (said("12"), 0),
        (said("1200sqrt2"), 0),
        ("no idea", 0),
        (said("12") + said("1200"), 1),
    ],
)
def test_zeroeval_compares_numbers(tmp_path, output, score):
    assert scores(zeroeval(tmp_path, "gsm", zero("q", output, answer="# 1200"))) == [score]


@pytest.mark.parametrize(
    ("output", "score"), [(said("[(1, 2), 'a']"), 1), (said('[(1,2), "a"]'), 1), (said("[[1, 2], 'a']"), 0)]
)
def test_zeroeval_compares_python_values_not_their_spelling(tmp_path, output, score):
    assert scores(zeroeval(tmp_path, "crux", zero("q", output, answer="[(1, 2), 'a']"))) == [score]


def test_zeroeval_compares_letters(tmp_path):
    key = {"choices": ["salt", "tin"], "correct_answer": "tin", "config": "chemistry"}
    items = [zero("a", said("B"), **key), zero("b", said("(B) tin"), **key), zero("c", said("A"), **key)]
    found = zeroeval(tmp_path, "mmlu-redux", *items)
    assert scores(found) == [1, 1, 0]
    assert [row.outcomes[CHEAP].answer for row in found.rows] == ["B", "B", "A"]


def test_zeroeval_needs_every_cell_of_a_grid_and_leaves_out_puzzles_without_a_solution(tmp_path):
    solution = {"header": ["House", "Name"], "rows": [["1", "Ann"], ["2", "Bo"]]}
    right = {"solution": {"House 1": {"Name": "ann"}, "House 2": {"Name": "Bo "}}}
    wrong = {"solution": {"House 1": {"Name": "Bo"}, "House 2": {"Name": "Ann"}}}
    items = [
        zero("a", json.dumps(right), solution=solution),
        zero("b", json.dumps(wrong), solution=solution),
        zero("c", json.dumps(right)),
        zero("d", "none", solution={**solution, "rows": [["1", "___"]]}),
    ]
    found = zeroeval(tmp_path, "zebra-grid", *items)
    assert scores(found) == [1, 0]
    assert found.skipped == {"items of zebra-grid without a right answer to compare with": 2}


def test_zeroeval_says_that_costs_are_estimated_and_leaves_out_other_settings(tmp_path):
    lay_out(tmp_path, {f"result_dirs/gsm/sampling/{CHEAP}.json": []})
    found = zeroeval(tmp_path, "gsm", zero("q", "x" * 400, answer="1"))
    outcome = found.rows[0].outcomes[CHEAP]
    assert outcome.output_tokens == 100
    assert outcome.cost_usd == pytest.approx((outcome.input_tokens * 0.15 + 100 * 0.6) / 1e6)
    assert any("estimated" in note for note in found.notes)
    assert found.skipped == {"files of gsm with other settings, in folders of their own": 1}


# MMLU-Pro


def question(number, pred, answer="B", **more):
    return {
        "question_id": number,
        "question": f"Which gas is number {number}?",
        "options": ["neon", "argon", "N/A"],
        "answer": answer,
        "category": "chemistry",
        "pred": pred,
        "model_outputs": "The answer is (B).",
        **more,
    }


def zipped(name, items):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, json.dumps(items))
        archive.writestr("__MACOSX/._x.json", "rubbish")
    return packed.getvalue()


def test_mmlu_pro_reads_files_archives_and_folders(tmp_path):
    lay_out(
        tmp_path,
        {
            f"eval_results/model_outputs_{CHEAP}_5shots.json": [question(1, "B"), question(2, "A")],
            f"eval_results/model_outputs_{DEAR}_5shots.zip": zipped("x.json", [question(1, "B"), question(2, "B")]),
            "eval_results/gpt-4o/chemistry_result.json": [
                {**question(n, None), "response": "so the answer is **B**", "model_outputs": None} for n in (1, 2)
            ],
            "eval_results/gpt-4o/chemistry_summary.json": {"total": {}},
        },
    )
    found = import_results("mmlu-pro", tmp_path)
    assert found.models == ("gpt-4o", DEAR, CHEAP)
    assert {model: scores(found, model) for model in found.models} == {
        CHEAP: [1, 0], DEAR: [1, 1], "gpt-4o": [1, 1],
    }  # fmt: skip
    assert found.rows[0].messages[0]["content"] == "Which gas is number 1?\nA. neon\nB. argon"
    assert found.rows[0].task == "chemistry"


def test_mmlu_pro_counts_a_text_without_a_letter_as_wrong(tmp_path):
    item = question(1, None, model_outputs="I would rather not say")
    found = import_results("mmlu-pro", lay_out(tmp_path, {f"model_outputs_{CHEAP}_5shots.json": [item]}))
    assert (scores(found), found.rows[0].outcomes[CHEAP].answer) == ([0], None)


@pytest.mark.parametrize("archive", [b"PK\x03\x04 cut off", zipped("readme.txt", [])])
def test_mmlu_pro_names_a_damaged_archive(tmp_path, archive):
    with pytest.raises(ConfigurationError, match=r"5shots\.zip"):
        import_results("mmlu-pro", lay_out(tmp_path, {f"model_outputs_{CHEAP}_5shots.zip": archive}))


# LLMRouter


def routed(query, model, performance, **more):
    tokens = {"input_tokens": 100, "output_tokens": 10, "response_time": 1.5}
    return {"task_name": "sums", "query": query, "model_name": model, "performance": performance, **tokens, **more}


def test_llmrouter_reads_rows_per_query_and_model_at_the_repositorys_own_prices(tmp_path):
    rows = [routed(q, m, p) for q in ("1 + 1?", "2 + 2?") for m, p in ((CHEAP, 0.5), ("tiny-own-model", 1.0))]
    candidates = {"tiny-own-model": {"input_price": 0.2, "output_price": 0.4, "feature": "small"}}
    lay_out(
        tmp_path,
        {
            "llmrouter/data/example_data/routing_data/default_routing_train_data.jsonl!": rows,
            "llmrouter/data/example_data/llm_candidates/default_llm.json": candidates,
        },
    )
    found = import_results("llmrouter", tmp_path)
    outcome = found.rows[0].outcomes["tiny-own-model"]
    assert outcome.cost_usd == pytest.approx((100 * 0.2 + 10 * 0.4) / 1e6)
    assert outcome.latency_s == 1.5
    assert (len(found.rows), found.rows[0].task) == (2, "sums")
    assert found.prices["tiny-own-model"] == "the repository's own list of candidates"


def test_llmrouter_reads_tables_with_the_answer_where_the_metric_says_what_it_is(tmp_path):
    heading = "task_name,query,metric,llm,effect,cost_usd,token_num,response\n"
    table = heading + f"gsm8k,How many?,GSM8K,{CHEAP},1.0,0.002,120,So it is 42.\n"
    found = import_results("llmrouter", lay_out(tmp_path, {"data/router_data.csv": table}))
    outcome = found.rows[0].outcomes[CHEAP]
    assert (outcome.cost_usd, outcome.answer, outcome.score) == (0.002, "42", 1.0)
    assert (outcome.input_tokens, outcome.output_tokens) == (117, 3)


@pytest.mark.parametrize(
    "item",
    [
        {"question": "Who?", "scores": {CHEAP: 1.0, DEAR: 0.0}},
        {"query": "Who?", "llm_name_list": [CHEAP, DEAR], "perf_list": [1.0, 0.0]},
    ],
)
def test_llmrouter_reads_lists_of_scores_and_joins_the_task(tmp_path, item):
    queries = [{"task_name": "trivia", "query": "Who?", "ground_truth": "Ann"}]
    found = import_results("llmrouter", lay_out(tmp_path, {"data/a.json": [item], "data/queries.jsonl!": queries}))
    assert (found.rows[0].task, scores(found), scores(found, DEAR)) == ("trivia", [1], [0])
    assert "outcomes without the length of their answer are charged for their input only" in found.notes


def test_llmrouter_counts_repeats_and_impossible_scores(tmp_path):
    rows = [routed("a", CHEAP, 1), routed("a", CHEAP, 0), routed("b", CHEAP, 3), routed("c", CHEAP, 0)]
    found = import_results(
        "llmrouter", lay_out(tmp_path, {"data/x.jsonl!": rows, "data/broken.json": "{oh"}), models=["*"]
    )
    assert scores(found) == [1, 0]
    assert found.skipped["second outcomes of a model for the same prompt"] == 1
    assert found.skipped["outcomes with a score outside 0 to 1"] == 1
    assert any("broken.json: not JSON" in reason for reason in found.skipped)


# RouteLLM

WEAK, STRONG = "mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"


def verdict(number, model, score, turn=1):
    asked = (
        f"[Instruction]\nRate it.\n\n[Question]\nTask {number}?\n\n[The Start of Assistant's Answer]\nDone: {model}\n"
    )
    return {
        "question_id": number,
        "model": model,
        "turn": turn,
        "score": score,
        "user_prompt": f"{asked}[The End of Assistant's Answer]",
    }


@pytest.fixture
def routellm(tmp_path):
    gsm8k = f"prompt,{WEAK},{STRONG},{WEAK}_response,{STRONG}_response\n"
    gsm8k += '"Sum of 2, 3?",False,True,"It is 6","#### 5"\nKnown before?,True,True,1,1\n'
    return lay_out(
        tmp_path,
        {
            "routellm/evals/gsm8k/gsm8k_responses.csv": gsm8k,
            "routellm/evals/gsm8k/contaminated_prompts.jsonl!": [{"eval_prompt": "Known before?"}],
            "routellm/evals/mmlu/responses/mmlu_botany.csv": f"prompt,{WEAK},{STRONG}\nA moss?,True,False\n",
            "routellm/evals/mt_bench/judgements.jsonl!": [
                verdict(81, WEAK, 7), verdict(81, STRONG, 9.5), verdict(81, WEAK, 1, turn=2),
            ],
            "routellm/evals/mt_bench/question.jsonl!": [
                {"question_id": 81, "category": "writing", "turns": ["Task 81?", "Shorter."]}
            ],
        },
    )  # fmt: skip


def test_routellm_reads_three_benchmarks(routellm):
    found = import_results("routellm", routellm)
    assert {row.task: (row.outcomes[WEAK].score, row.outcomes[STRONG].score) for row in found.rows} == {
        "gsm8k": (0, 1),
        "botany": (1, 0),
        "writing": (0.7, 0.95),
    }
    assert [row.outcomes[STRONG].answer for row in found.rows] == ["5", None, None]
    assert found.skipped == {"prompts that the owners call contaminated": 1}


def test_routellm_takes_the_question_from_the_judgement_where_there_is_no_file(routellm):
    (routellm / "routellm/evals/mt_bench/question.jsonl").unlink()
    row = import_results("routellm", routellm).rows[-1]
    assert (row.messages[0]["content"], row.task) == ("Task 81?", "mt_bench")


def test_routellm_names_a_table_without_prompts(routellm):
    (routellm / "routellm/evals/gsm8k/gsm8k_responses.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"gsm8k_responses\.csv: no column 'prompt'"):
        import_results("routellm", routellm)


# all of them


@pytest.mark.parametrize("source", [s for s in SOURCES if s != "bfcl"])
def test_a_folder_of_something_else_says_what_was_looked_for(tmp_path, source):
    with pytest.raises(ConfigurationError, match=f"{tmp_path}: no .*looked"):
        import_results(source, lay_out(tmp_path, {"README.md": "x"}))


def test_a_recording_can_be_read_back(routellm, tmp_path):
    path = tmp_path / "r.jsonl.gz"
    import_results("routellm", routellm).write(path)
    assert read_recordings([path]).models == (STRONG, WEAK)


def test_models_are_chosen_by_pattern_and_a_pattern_without_a_model_is_an_error(routellm):
    assert import_results("routellm", routellm, models=["mixtral*"]).models == (WEAK,)
    with pytest.raises(
        ConfigurationError, match=r"no model matches 'llama\*'; models found: gpt-4-1106-preview, mixtral"
    ):
        import_results("routellm", routellm, models=["llama*"])


def test_a_model_that_was_asked_little_does_not_cost_the_others_their_prompts(tmp_path):
    rows = [routed(str(n), model, 1) for n in range(20) for model in (CHEAP, DEAR)]
    rows += [routed("0", "gpt-4-turbo", 1)]
    found = import_results("llmrouter", lay_out(tmp_path, {"data/x.jsonl!": rows}))
    assert (found.models, len(found.rows)) == ((DEAR, CHEAP), 20)
    assert found.skipped_models == {"gpt-4-turbo": "asked only 1 of 20 prompts"}


def test_a_pointer_of_git_lfs_is_told_from_the_file(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    with pytest.raises(ConfigurationError, match="git lfs pull"):
        import_results("zeroeval", lay_out(tmp_path, {f"result_dirs/gsm/{CHEAP}.json": pointer}))


def test_long_answers_are_hashed(tmp_path):
    found = zeroeval(tmp_path, "crux", zero("q", said(str(list(range(200)))), answer="[]"))
    assert found.rows[0].outcomes[CHEAP].answer.startswith("sha256:")


@pytest.mark.parametrize(("source", "options"), [("nothing", {}), ("zeroeval", {"questions": "x"})])
def test_wrong_use_is_refused(tmp_path, source, options):
    with pytest.raises(ConfigurationError):
        import_results(source, tmp_path, **options)


@pytest.mark.parametrize(
    ("source", "name", "content", "said"),
    [
        ("zeroeval", f"gsm/{CHEAP}.json", {"a": 1}, "a dict where a list of answers belongs"),
        ("zeroeval", f"gsm/{CHEAP}.json", "[1, ", r"not JSON: .* \(line 1, column"),
        ("zeroeval", f"gsm/{CHEAP}.json", b"\xff\xfe[]\x00", "not JSON"),
        ("zeroeval", f"gsm/{CHEAP}.json", "[" * 100_000, "nested too deeply"),
        ("zeroeval", f"gsm/{CHEAP}.json", [3, {"id": 1}], "2 items of gsm without 'id', 'output' or a question"),
        ("mmlu-pro", f"model_outputs_{CHEAP}_5shots.json", {"a": 1}, "a dict where a list of answers belongs"),
        ("mmlu-pro", f"model_outputs_{CHEAP}_5shots.json", [1, {"options": []}], "2 items without 'question_id'"),
        ("mmlu-pro", "chemistry_result.json", [], "1 files whose name says no model"),
        ("routellm", "gsm8k/gsm8k_responses.csv", b"\xff", "not UTF-8"),
        ("routellm", "gsm8k/gsm8k_responses.csv", f"prompt,{WEAK}\nx,maybe\n", "1 cells of gsm8k that are neither"),
        ("routellm", "mt_bench/question.jsonl", "", "judgements.jsonl is missing"),
        ("routellm", "mt_bench/judgements.jsonl!", [{"turn": 1, "model": WEAK}], "1 judgements without question"),
        ("routellm", "mt_bench/judgements.jsonl!", [[1]], r"judgements\.jsonl: item 0|a list where a JSON object"),
    ],
)
def test_files_in_another_form_are_refused_with_the_reason(tmp_path, source, name, content, said):
    with pytest.raises(ConfigurationError, match=said):
        import_results(source, lay_out(tmp_path, {name: content}))


def test_half_a_character_can_be_written(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    lay_out(tmp_path, {"data/x.jsonl!": [routed("\ud800 what?", CHEAP, 1)]})
    import_results("llmrouter", tmp_path).write(path)
    assert read_recordings([path]).prompts[0].step.messages[0]["content"] == "? what?"
