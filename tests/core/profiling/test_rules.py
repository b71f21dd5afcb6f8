"""The rule-based classifier hears names, system prompts and requests, and says what it heard without quoting."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.hookspecs import PROJECT
from taskrouter.ports import Classification
from taskrouter.profile import TASK_TYPES
from taskrouter.profiling import RuleClassifier, plugin
from taskrouter.profiling.lexicon import NAMES, REQUESTS, ROLES, STEMS
from taskrouter.step import Message, Step, StepContext

EXAMPLES = {
    "code_generation": [
        {"user": "Write a Python function that merges two sorted lists without using sort()."},
        {"system": "You are an expert programmer. Return only code.", "user": "a rate limiter with a sliding window"},
        {"user": "Escribe una función en Python que invierta una cadena"},
    ],
    "code_repair": [
        {"user": "Fix the bug: my tests fail with a TypeError when the list is empty."},
        {"system": "You are a debugging expert. Return a patch for the failing tests.", "user": "see the log"},
        {"agent": "debugger", "user": "the log is attached"},
    ],
    "planning": [
        {"agent": "planner", "user": "Move our shop from one data centre to another."},
        {"system": "You are a planner. Break down the goal into ordered steps.", "user": "open a bakery"},
        {"user": "Create a plan with milestones and a timeline for our website launch"},
    ],
    "tool_use": [
        {"system": "You have access to the following tools. Call the right function.", "user": "is my parcel here?"},
        {"user": "Search the web for the latest inflation figures and report back"},
        {"agent": "WebSurfer", "user": "continue"},
    ],
    "verification": [
        {"system": "You are a critic. Check whether the answer is supported by the sources.", "user": "Paris is big."},
        {"agent": "code_reviewer", "user": "diff --git a/x b/x"},
        {"user": "Fact check this claim and tell me whether the evidence supports it: tea was first grown in Peru"},
    ],
    "retrieval": [
        {"system": "You rewrite user questions into standalone search queries.", "user": "and what about his sister?"},
        {"user": "Expand this query with synonyms for better recall: cheap laptop"},
        {"node": "rewrite_query", "user": "and the year before?"},
    ],
    "reasoning": [
        {"user": "Prove that the square root of 3 is irrational."},
        {"user": "A train leaves at 9:00 with 120 people, 35 get off and 12 get on. How many are left?"},
        {"system": "You are a math expert. Think step by step.", "user": "seven apples, four baskets"},
    ],
    "summarization": [
        {"user": "Summarize the following report in three sentences: Sales rose in the north and fell in the south."},
        {"system": "You are a summarizer agent.", "user": "The meeting began at ten. Ann spoke first."},
        {"user": "请总结这篇文章的主要内容"},
    ],
    "extraction": [
        {"user": "Extract all dates and amounts from this invoice as JSON."},
        {"system": "You are an information extraction engine.", "user": "Invoice 77, due in May, 300 euros"},
        {"agent": "InvoiceExtractor", "user": "page 1 of 3"},
    ],
    "rewriting": [
        {"user": "Rewrite this email so that it sounds more professional: hey, where is my stuff"},
        {"system": "You are a copy editor. Improve grammar and clarity.", "user": "Me and him was late."},
        {"user": "Paraphrase: the early bird catches the worm"},
    ],
    "translation": [
        {"user": "Translate this sentence to German: the shop opens at nine"},
        {"system": "You are a professional translator.", "user": "The shop opens at nine."},
        {"user": "把下面的句子翻译成英文：今天天气很好"},
    ],
    "classification": [
        {"user": "Classify this ticket as billing, bug or question: I was charged twice"},
        {"system": "You are a triage agent: determine the category of the request.", "user": "I was charged twice"},
        {"agent": "intent_router", "user": "I was charged twice"},
    ],
    "closed_qa": [
        {"system": "Answer only from the provided documents and cite sources.", "user": "When was it founded?"},
        {"user": "Based on the passage, who owned the mill?\n\nThe mill stood by the river. It belonged to Anna."},
    ],
    "open_qa": [
        {"user": "What is the capital of Mongolia?"},
        {"user": "Was ist ein abstrakter Syntaxbaum?"},
        {"user": "Explain the difference between weather and climate"},
    ],
    "creative_writing": [
        {"user": "Write a short story about a lighthouse keeper who is afraid of the dark."},
        {"system": "You are a marketing copywriter.", "user": "a bicycle bell that plays music"},
        {"user": "напиши рассказ о старом маяке"},
    ],
    "brainstorming": [
        {"user": "Brainstorm ten names for a coffee shop run by cats"},
        {"user": "Give me ideas for a team event in winter"},
        {"system": "You are an ideation partner. Quantity over quality.", "user": "a museum for children"},
    ],
    "chat": [
        {"user": "Hello, how are you today?"},
        {"user": "thanks, good night!"},
        {"system": "You are a friendly companion for small talk.", "user": "my cat sneezed"},
    ],
}

PROMPTS = [
    pytest.param(t, prompt, id=f"{t}-{n}") for t, prompts in EXAMPLES.items() for n, prompt in enumerate(prompts)
]


def classify(*, system="", user="", agent=None, node=None, tools=()) -> Classification:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    step = Step(messages=messages, tools=tools, context=StepContext(agent=agent, node=node))
    return RuleClassifier().classify(step.view, step.context)


def test_every_task_type_has_examples():
    assert set(EXAMPLES) == set(TASK_TYPES)


@pytest.mark.parametrize(("task_type", "prompt"), PROMPTS)
def test_realistic_prompts_get_their_task_type(task_type, prompt):
    assert classify(**prompt).alternatives[0][0] == task_type


@pytest.mark.parametrize("table", [NAMES, ROLES, REQUESTS, STEMS])
def test_lexicon_holds_known_task_types_and_no_empty_phrase(table):
    assert set(table) <= set(TASK_TYPES)
    assert all(
        phrase.strip() for by_weight in table.values() for text in by_weight.values() for phrase in text.split(",")
    )


def test_nothing_is_claimed_where_nothing_speaks():
    assert classify(user="").alternatives == ()
    assert classify(user="zxqv").alternatives == ()


def test_system_prompt_decides_whatever_the_user_writes():
    system = "You are a strict grader. Give a binary score whether the answer is grounded."
    first = classify(system=system, user="Translate this into French")
    second = classify(system=system, user="def f(): return 1")
    assert first.of_identity
    assert first == second


def test_generic_system_prompt_leaves_the_decision_to_the_user_text():
    generic = "You are a helpful assistant."
    asked = classify(system=generic, user="Translate this into French: good morning")
    assert not asked.of_identity
    assert asked.alternatives[0][0] == "translation"


def test_node_name_decides_in_any_spelling():
    for name in ("code_reviewer", "CodeReviewer", "code-reviewer", "codeReviewer2"):
        found = classify(node=name, user="see above")
        assert found.of_identity, name
        assert found.alternatives[0][0] == "verification", name


def test_offered_tools_change_nothing():
    tools = [{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]
    user = "Summarize this report in two sentences."
    assert classify(user=user, tools=tools) == classify(user=user)


def test_tool_result_speaks_for_a_tool_loop_but_not_against_the_identity():
    messages: list[Message] = [
        {"role": "user", "content": "and now?"},
        {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "42"},
    ]
    loop = Step(messages=messages)
    planner = Step(messages=messages, context=StepContext(agent="planner"))
    classify_ = RuleClassifier().classify
    assert classify_(loop.view, loop.context).alternatives[0][0] == "tool_use"
    assert classify_(planner.view, planner.context).alternatives[0][0] == "planning"


def test_negated_phrases_are_not_heard():
    told = classify(system="You are a summarizer. Do not call any tools.", user="text")
    assert told.alternatives[0][0] == "summarization"
    assert "tool_use" not in [task_type for task_type, _ in told.alternatives]


@pytest.mark.parametrize(("task_type", "prompt"), PROMPTS)
def test_probabilities_fall_and_do_not_exceed_one(task_type, prompt):
    shares = [share for _, share in classify(**prompt).alternatives]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-9


@given(system=st.text(max_size=300), user=st.text(max_size=600), name=st.text(max_size=30))
def test_any_text_is_taken(system, user, name):
    found = classify(system=system, user=user, agent=name, node=name)
    assert all(task_type in TASK_TYPES and 0 < share <= 1 for task_type, share in found.alternatives)


def test_plugin_offers_the_rules_by_name():
    offered = plugin.taskrouter_classifiers()
    assert isinstance(offered["rules"], RuleClassifier)
    assert offered["rules"].name == "rules"
    assert getattr(inspect.unwrap(plugin.taskrouter_classifiers), f"{PROJECT}_impl")
