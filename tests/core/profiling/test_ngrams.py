"""The trained classifier says what a step is, how sure it may be, and which words of its own vocabulary spoke."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.config import ProfilingConfig
from taskrouter.errors import ConfigurationError
from taskrouter.ports import Classification
from taskrouter.profile import TASK_TYPES
from taskrouter.profiling import NgramClassifier, plugin
from taskrouter.profiling.grams import spelt
from taskrouter.profiling.weights import FILE, MAGIC, SHA256, load, unpack
from taskrouter.step import Message, Step, StepContext

CLASSIFIER = NgramClassifier()


def classify(*, system="", user="", agent=None, node=None, tools=()) -> Classification:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    step = Step(messages=messages, tools=tools, context=StepContext(agent=agent, node=node))
    return CLASSIFIER.classify(step.view, step.context)


def best(**prompt) -> str:
    return classify(**prompt).alternatives[0][0]


def test_it_is_offered_by_name_and_is_the_default():
    assert isinstance(plugin.taskrouter_classifiers()[ProfilingConfig().classifier], NgramClassifier)


@pytest.mark.parametrize(
    ("task_type", "prompt"),
    [
        ("code_generation", {"user": "Write a Python function that merges two sorted lists without using sort()."}),
        ("code_repair", {"user": "Fix the bug in this function: the tests fail when the list is empty"}),
        ("planning", {"system": "You are a planner. Break the goal down into ordered steps for the other agents."}),
        ("tool_use", {"system": "You are a web search agent. Use the search tool to find what the user needs."}),
        ("verification", {"system": "You are a judge. Decide whether the answer is supported by the documents."}),
        ("retrieval", {"system": "Rewrite the user's question into a standalone search query.", "user": "and hers?"}),
        ("reasoning", {"user": "Prove that the square root of 3 is irrational."}),
        ("summarization", {"user": "Summarize the following report in three sentences: Sales rose in the north."}),
        ("extraction", {"user": "Extract all dates and amounts from this invoice as JSON."}),
        ("rewriting", {"user": "Rewrite this email so that it sounds more professional: hey, where is my stuff"}),
        ("translation", {"user": "Translate this sentence to German: the shop opens at nine"}),
        ("classification", {"user": "Classify this ticket as billing, bug or question: I was charged twice"}),
        ("closed_qa", {"system": "Answer only from the documents below and cite them.", "user": "Who founded it?"}),
        ("open_qa", {"user": "What is the capital of Mongolia?"}),
        ("creative_writing", {"user": "Write a short story about a lighthouse keeper who is afraid of the dark."}),
        ("brainstorming", {"user": "Brainstorm ten names for a coffee shop run by cats"}),
        ("chat", {"user": "Hello, how are you today?"}),
        ("translation", {"user": "把下面的句子翻译成英文：今天天气很好"}),
        ("summarization", {"user": "Resume el siguiente texto en dos frases: las ventas subieron."}),
        ("open_qa", {"user": "Was ist ein abstrakter Syntaxbaum?"}),
    ],
)
def test_plain_steps_get_their_task_type(task_type, prompt):
    assert best(**prompt) == task_type


def test_reviewer_that_judges_is_verification_whatever_it_reviews():
    system = "You are a code reviewer. Judge the patch for correctness and reply with APPROVE or with your objections."
    first = classify(system=system, user="def f(): return 1")
    second = classify(system=system, user="Translate this into French")
    assert first.alternatives[0][0] == "verification"
    assert first.of_identity
    assert first == second


def test_generic_system_prompt_leaves_the_decision_to_the_user_text():
    asked = classify(system="You are a helpful assistant.", user="Translate this into French: good morning")
    assert not asked.of_identity
    assert asked.alternatives[0][0] == "translation"


def test_offered_tools_change_nothing():
    tools = [{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]
    user = "Summarize this report in two sentences."
    assert classify(user=user, tools=tools) == classify(user=user)


@pytest.mark.parametrize("name", ["code_reviewer", "CodeReviewer", "code-reviewer", "codeReviewer2"])
def test_name_decides_in_any_spelling(name):
    found = classify(node=name, user="see above")
    assert found.of_identity
    assert found.alternatives[0][0] == "verification"


def test_tool_result_speaks_for_a_tool_loop_but_not_against_the_identity():
    messages: list[Message] = [
        {"role": "user", "content": "and now?"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "42"},
    ]
    loop, planner = Step(messages=messages), Step(messages=messages, context=StepContext(agent="planner"))
    assert CLASSIFIER.classify(loop.view, loop.context).alternatives[0][0] == "tool_use"
    assert CLASSIFIER.classify(planner.view, planner.context).alternatives[0][0] == "planning"


@pytest.mark.parametrize("user", ["", "12345", " \n "])
def test_nothing_is_claimed_where_nothing_speaks(user):
    assert classify(user=user).alternatives[:1] == () or classify(user=user).alternatives[0][1] < 0.5


def test_signals_show_the_ngrams_that_spoke():
    text = "Summarize this article in two sentences: it rained."
    shown = [signal for signal in classify(user=text).signals if signal.startswith("user text says ")]
    assert 1 <= len(shown) <= 3
    assert all(signal.removeprefix("user text says ").strip("'") in text.lower() for signal in shown)


def test_signals_tell_the_system_prompt_from_the_user_text():
    signals = classify(system="You are a judge. Decide whether the answer is supported by the documents.").signals
    assert any(signal.startswith("name or system prompt says ") for signal in signals)


@given(words=st.lists(st.sampled_from(["summarize", "Xylophoneville", "plan", "q7x9", "the", "Zbigniew"]), max_size=20))
def test_signals_hold_nothing_but_the_own_vocabulary(words):
    weights = load()
    known = {spelt(gram) for table in (weights.system, weights.user) for gram in table.telling}
    for signal in classify(system=" ".join(words), user=" ".join(reversed(words))).signals:
        if " says " in signal:
            assert signal.split(" says ")[1].strip("'") in known


def test_vocabulary_holds_no_numbers_and_no_long_strings():
    weights = load()
    parts = {part for table in (weights.system, weights.user) for gram in table.rows for part in _parts(gram)}
    assert not [part for part in parts if any(map(str.isdigit, part)) or len(part) > 24]


def _parts(gram) -> tuple[str, ...]:
    return (gram,) if isinstance(gram, str) else gram


TEXTS = st.text(max_size=400) | st.text(st.characters(min_codepoint=0x0E00, max_codepoint=0xD7AF), max_size=400)


@given(system=TEXTS, user=TEXTS, name=st.none() | st.text(max_size=30))
def test_any_text_in_any_script_is_taken(system, user, name):
    found = classify(system=system, user=user, agent=name, node=name)
    shares = [share for _, share in found.alternatives]
    assert {task_type for task_type, _ in found.alternatives} <= set(TASK_TYPES)
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-9


def test_longest_text_is_taken():
    greedy = " ".join(spelt(gram) for gram in list(load().user.rows)[:20_000])
    assert sum(share for _, share in classify(user=greedy, system=greedy).alternatives) <= 1 + 1e-9


def test_verdict_is_the_same_in_every_process():
    code = (
        "from taskrouter.profiling import NgramClassifier\n"
        "from taskrouter.step import Step\n"
        "s = Step(messages=[{'role': 'user', 'content': 'Compare Raft with Paxos and write a plan for my team'}])\n"
        "print(NgramClassifier().classify(s.view, s.context))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{classify(user='Compare Raft with Paxos and write a plan for my team')}\n"}


def test_file_is_the_one_that_belongs_to_this_version():
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == SHA256


def test_damaged_file_is_named(tmp_path):
    damaged = tmp_path / "classifier.bin"
    damaged.write_bytes(FILE.read_bytes()[:-1])
    with pytest.raises(ConfigurationError, match=r"classifier\.bin: .*SHA-256 differs.*Install the package anew"):
        load(damaged)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"classifier\.bin: cannot be read: No such file"):
        load(tmp_path / "classifier.bin")


def test_file_of_another_kind_or_for_other_task_types_is_refused():
    with pytest.raises(ConfigurationError, match="do not begin with"):
        unpack(b"PK\x03\x04 and so on")
    other = b'{"task_types": ["chat"]}'
    with pytest.raises(ConfigurationError, match="other task types"):
        unpack(MAGIC + len(other).to_bytes(4, "little") + other)


def test_model_card_names_the_file():
    card = Path(__file__).parents[3] / "docs/classifier.md"
    assert SHA256 in card.read_text(encoding="utf-8")
