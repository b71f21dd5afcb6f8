"""What the simulated models can do with words. Each skill is a rule that can be read off its answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from taskrouter.simulator import arithmetic, code, filling
from taskrouter.simulator.evidence import sentences, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is asked."""

    system: str
    """The instructions."""
    asked: str
    """The last user message."""
    context: str
    """Everything that may hold the answer: tool results, earlier messages, the user's own text."""
    wrong: bool
    """Answer wrongly, in a way that a check finds."""


_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can did do does for from had has have how i in into is it its me my of on or our "
        "please so tell that the their them there these this to us was we were what when where which who why will with "
        "you your answer question context using use give find",
    )
)
_EQUATION = re.compile(r"([\d\s.,()*/x×÷+-]{1,80}?)\s{0,3}=\s{0,3}(-?\d[\d,]*(?:\.\d+)?)")
MAX_CHARS = 20_000
"""Longer texts are checked up to here."""
_COUNTED = frozenset(re.findall(r"\w+", "age amount count number price quantity score size sum total year years"))
"""Words of names whose values are numbers."""
_ROLES: tuple[tuple[str, str], ...] = (
    ("verify", r"\bverif|\bfact.?check|\bcritic\b|\bjudge\b|\breviewer\b|\bPASS\b|\bgrader\b"),
    ("summarise", r"\bsummar|\btl;?dr\b|\bcondense\b|\bshorten\b"),
    (
        "plan",
        r"\bplan\b|\bplanner\b|\bplanning\b|\bstep.by.step plan\b|\bbreak\w* (?:it |this |the \w+ )?(?:down|into)",
    ),
    (
        "program",
        r"\b(?:write|implement|create|complete|fix)\b[^.\n]{0,40}\b(?:function|code|script|program)\b|\bcoder\b",
    ),
)
"""Skills and the words that ask for them."""


def answer(task: Task) -> str:
    """Answer in words."""
    return _SKILLS[skill_for(task)](task)


def skill_for(task: Task) -> str:
    """Name the skill that a task asks for: by the agent's role where it has one, else by the user's words."""
    roles = [skill for skill, pattern in _ROLES if re.search(pattern, task.system, re.IGNORECASE)]
    if len(roles) == 1:
        return roles[0]
    hits = {skill: m.start() for skill, p in _ROLES if (m := re.search(p, task.asked, re.IGNORECASE))}
    if hits:
        return min(hits, key=hits.__getitem__)
    return "calculate" if arithmetic.solve(task.asked) else "quote"


def plan(task: Task) -> str:
    """Return a numbered list: the parts of the request, or the steps that any request needs."""
    goal = (sentences(task.asked) or ["the task"])[0].rstrip(".?! ")
    goal = re.sub(r"(?i)^.{0,20}\b(?:plan|break down)\b\s*(?:for|to|how to|:)?\s*", "", goal) or goal
    parts = [
        part.strip(" .") for part in re.split(r",\s*(?:then|and)?\s*|;\s*|\bthen\b|\band\b", goal) if part.strip(" .")
    ]
    if len(parts) < 2:
        parts = [f"Collect the facts about: {goal}", "Work out the answer from those facts", "Check the result"]
        parts.append("Sum up the answer with its sources")
    if task.wrong:
        parts.reverse()
    return "\n".join(f"{number}. {part[0].upper()}{part[1:]}" for number, part in enumerate(parts, 1))


def summarise(task: Task) -> str:
    """Return the first two sentences of the text."""
    text = _given_text(task)
    return _spoilt(" ".join(sentences(text)[:2]) or text.strip(), task.wrong)


def verify(task: Task) -> str:
    """Return PASS or FAIL with a reason: sums are computed, code is parsed, figures are looked up."""
    problem = _problem(task.asked[:MAX_CHARS])
    if task.wrong:
        return "PASS: nothing speaks against it." if problem else "FAIL: the answer is not supported by the context."
    return f"FAIL: {problem}." if problem else "PASS: the statements agree with what is given."


def calculate(task: Task) -> str:
    """Return the sum that is asked for and its value."""
    solved = arithmetic.solve(task.asked)
    if solved is None:
        return quote(task)
    expression, value = solved
    return f"{expression} = {arithmetic.show(value + 1 if task.wrong else value)}"


def program(task: Task) -> str:
    """Return a Python function."""
    return code.write(task.asked, wrong=task.wrong)


def quote(task: Task) -> str:
    """Return the sentence of the context that shares most words with the question."""
    asked = {word for word in words(task.asked) if word not in _STOP_WORDS}
    candidates = [s for s in sentences(task.context) if not s.endswith("?") and s.strip() != task.asked.strip()]
    if not candidates:
        return f"I have no text to answer from: {(sentences(task.asked) or ['nothing was asked'])[0]}"
    best = max(candidates, key=lambda sentence: _overlap(sentence, asked))
    return _spoilt(best, task.wrong)


_SKILLS: dict[str, Callable[[Task], str]] = {
    "plan": plan,
    "summarise": summarise,
    "verify": verify,
    "calculate": calculate,
    "program": program,
    "quote": quote,
}


def free_object(task: Task) -> str:
    """Return a JSON object for `json_object`: the keys that the prompt quotes, or `answer`."""
    keys = re.findall(r"[\"'`](\w+)[\"'`]\s*:", f"{task.system}\n{task.asked}")
    listed = re.search(r"\b(?:keys?|fields?)\s*:?\s+((?:[\"'`]?\w+[\"'`]?(?:,\s*|\s+and\s+)?)+)", task.asked)
    if not keys and listed:
        keys = [k.strip("\"'` ") for k in re.split(r",\s*|\s+and\s+", listed.group(1)) if k.strip("\"'` ")]
    kinds = {key: "number" if _COUNTED & set(words(key)) else "string" for key in keys}
    properties = {key: {"type": kind} for key, kind in kinds.items()}
    schema = {"type": "object", "properties": properties, "required": keys}
    value = filling.fill(schema, task.context) if keys else {"answer": quote(task)}
    return json.dumps(value, ensure_ascii=False)


def _overlap(sentence: str, asked: set[str]) -> float:
    found = set(words(sentence))
    return len(found & asked) / (1 + 0.05 * len(found))


def _given_text(task: Task) -> str:
    """Return the text behind the instruction: after a colon or a blank line, else all there is."""
    head, separator, rest = task.asked.partition("\n")
    if separator and len(rest.strip()) > 20:
        return rest
    _, colon, rest = head.partition(":")
    if colon and len(rest.strip()) > 20:
        return rest
    return task.context or task.asked


def _spoilt(text: str, wrong: bool) -> str:
    """Change the first number of a text; without one, withhold the answer."""
    if not wrong:
        return text
    changed, count = re.subn(r"\d+", lambda match: str(int(match.group(0)[:15]) + 1), text, count=1)
    return changed if count else "The text does not say."


def _problem(text: str) -> str | None:
    """Say what is wrong with the statements in a text, or None."""
    for left, right in _EQUATION.findall(text):
        solved = arithmetic.solve(left)
        if solved and abs(solved[1] - float(right.replace(",", ""))) > 1e-6:
            return f"{solved[0]} is {arithmetic.show(solved[1])}, not {right}"
    text = _EQUATION.sub(" computed ", text)
    if bad_code := code.syntax_problem(text):
        return bad_code
    found = re.split(r"(?i)\b(?:answer|claim|draft|statement|response)\b[^:\n]{0,20}:", text, maxsplit=1)
    if len(found) < 2:
        return None
    before, claim = found
    claim, *after = re.split(
        r"(?i)\n\s*\b(?:context|source|evidence|document|text)s?\b[^:\n]{0,20}:", claim, maxsplit=1
    )
    return _unsupported(claim, before + "\n".join(after))


def _unsupported(claim: str, source: str) -> str | None:
    if not claim.strip():
        return "there is no answer to check"
    known = set(re.findall(r"\d+(?:\.\d+)?", source))
    unknown = [figure for figure in re.findall(r"\d+(?:\.\d+)?", claim) if figure not in known]
    return f"{unknown[0]} is not in the given text" if known and unknown else None
