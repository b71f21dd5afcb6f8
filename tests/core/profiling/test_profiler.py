"""A profile takes the task type from the strongest evidence and never repeats a piece of the prompt."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskrouter.config import ProfilingConfig
from taskrouter.errors import InvalidStepError, PluginError
from taskrouter.ports import Classification
from taskrouter.profiling import NgramClassifier, Profiler
from taskrouter.step import Step, StepContext

REVIEWER = "You are a critic. Check whether the answer is supported by the sources."


class FixedClassifier:
    """Says what it is told to say, and counts how often it was asked."""

    name = "fixed"

    def __init__(self, *alternatives, of_identity=False) -> None:
        self.answer = Classification(alternatives, ("fixed",), of_identity)
        self.asked = 0

    def classify(self, view, context) -> Classification:
        self.asked += 1
        return self.answer


def step(user="hello there", *, system=None, agent=None, node=None, **fields) -> Step:
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    return Step(messages=messages, context=StepContext(agent=agent, node=node), **fields)


def profiler(classifier=None, **config) -> Profiler:
    return Profiler(ProfilingConfig(**config), classifier or NgramClassifier())


def test_declaration_beats_memory_and_memory_beats_classifier():
    classifier = FixedClassifier(("planning", 0.9), of_identity=True)
    mine = profiler(classifier)
    first = mine.profile(step("one", agent="a"))
    second = mine.profile(step("two", agent="a"))
    third = mine.profile(step("three", agent="a", task_type="translation"))
    assert [p.evidence for p in (first, second, third)] == ["classifier", "identity", "declared"]
    assert [p.task_type for p in (first, second, third)] == ["planning", "planning", "translation"]
    assert [p.confidence for p in (first, second, third)] == [0.9, 0.9, 1.0]
    assert classifier.asked == 1


def test_argument_beats_the_steps_own_declaration():
    profile = profiler().profile(step(task_type="chat"), task_type="extraction")
    assert (profile.task_type, profile.family) == ("extraction", "text_transform")


def test_unknown_task_type_is_refused_with_the_nearest_name():
    with pytest.raises(InvalidStepError, match=r"'summarisation'.*did you mean 'summarization'.*Known: .*open_qa"):
        profiler().profile(step(task_type="summarisation"))


def test_below_the_floor_the_type_is_unknown_and_the_alternatives_are_kept():
    unsure = FixedClassifier(("chat", 0.49), ("open_qa", 0.3))
    profile = profiler(unsure).profile(step())
    assert (profile.task_type, profile.family, profile.evidence) == ("unknown", "unknown", "none")
    assert profile.confidence == 0
    assert profile.alternatives == (("chat", 0.49), ("open_qa", 0.3))


def test_classifier_with_a_task_type_of_its_own_is_named():
    with pytest.raises(PluginError, match=r"classifier 'fixed' returned the unknown task type 'sql'.*Known: .*chat"):
        profiler(FixedClassifier(("sql", 0.9))).profile(step())


def test_floor_is_the_configured_one():
    unsure = FixedClassifier(("chat", 0.49))
    assert profiler(unsure, confidence_floor=0.4).profile(step()).task_type == "chat"


def test_telling_system_prompt_is_remembered_for_other_user_texts():
    mine = profiler()
    mine.profile(step("Paris is the capital of Peru.", system=REVIEWER))
    again = mine.profile(step("Translate this to French", system=REVIEWER))
    assert (again.task_type, again.evidence) == ("verification", "identity")
    assert mine.known_identities == 1


def test_generic_system_prompt_is_not_remembered():
    mine = profiler()
    generic = "You are a helpful assistant."
    first = mine.profile(step("Translate to German: good morning", system=generic))
    second = mine.profile(step("Summarize this article in one sentence: it rained.", system=generic))
    assert (first.task_type, second.task_type) == ("translation", "summarization")
    assert mine.known_identities == 0


def test_nodes_of_one_agent_are_remembered_apart():
    mine = profiler()
    types = [mine.profile(step("go on", agent="graph", node=n)).task_type for n in ("planner", "critic", "planner")]
    assert types == ["planning", "verification", "planning"]
    assert mine.known_identities == 2


def test_memory_can_be_turned_off():
    mine = profiler(identities=0)
    profiles = [mine.profile(step(str(n), system=REVIEWER)) for n in range(2)]
    assert [p.evidence for p in profiles] == ["classifier", "classifier"]
    assert mine.known_identities == 0


def test_requirements_follow_tools_images_and_schema():
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    picture = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    full = profiler().profile(step(picture, tools=[tool], response_schema={"type": "object"})).requirements
    plain = profiler().profile(step()).requirements
    assert (full.tools, full.vision, full.json_schema) == (True, True, True)
    assert (plain.tools, plain.vision, plain.json_schema) == (False, False, False)


def test_sensitivity_is_handed_on():
    assert profiler().profile(step(), sensitivity="health").sensitivity == "health"
    assert profiler().profile(step()).sensitivity == "unspecified"


@pytest.mark.parametrize("content", ["", None, []])
def test_empty_content_is_profiled(content):
    profile = profiler().profile(Step(messages=[{"role": "user", "content": content}]))
    assert (profile.task_type, profile.language, profile.domain) == ("unknown", "und", "general")
    assert profile.input_tokens == 0


CANARY = st.from_regex(r"\A[a-z]{3,8}[0-9]{4}[a-z]{3,8}\Z")


@given(canary=CANARY, place=st.sampled_from(["system", "user", "agent", "node"]))
@example(canary="qwe1234rty", place="user")
def test_no_piece_of_the_prompt_is_in_the_profile(canary, place):
    texts = {"system": REVIEWER, "user": "Summarize the report of", "agent": "planner", "node": "critic"}
    texts[place] += f" {canary}"
    profile = profiler().profile(step(texts.pop("user"), **texts))
    assert canary not in repr(profile)


@given(words=st.lists(st.sampled_from(["Summarize", "Zbigniew", "plan", "```", "Alice", "Qxv", "翻译"]), max_size=30))
def test_signals_come_from_a_fixed_vocabulary(words):
    fixed = ("name or system prompt says ", "user text says ", "system prompt", "user text", "complexity: ")
    profile = profiler().profile(step(" ".join(words), system=" ".join(reversed(words))))
    assert all(signal.startswith(fixed) for signal in profile.signals)
    assert not any(private in signal.lower() for signal in profile.signals for private in ("zbigniew", "alice", "qxv"))


def test_profiles_are_deterministic():
    one = step("Compare Raft with Paxos and list the trade-offs", system="You are a tutor.")
    assert profiler().profile(one) == profiler().profile(one)


def test_huge_prompt_costs_no_more_than_its_extract():
    huge = step("Summarize the following text. " + "word and more of it, " * 250_000)
    mine = profiler()
    start = time.perf_counter()
    profile = mine.profile(huge)
    assert time.perf_counter() - start < 0.05
    assert profile.task_type == "summarization"
    assert profile.input_tokens > 1_000_000
