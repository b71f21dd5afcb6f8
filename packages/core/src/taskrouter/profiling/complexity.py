"""How demanding a step is: points for what can be counted, by a table that can be read.

Difficulty cannot be read off a prompt, so no more is claimed than a rank correlation with demand as people label it.
Points are never taken away: a step of the same task type to which a constraint, a tool or more material is added is
never rated lower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from taskrouter.profile import UNKNOWN
from taskrouter.profiling.text import Words
from taskrouter.step import StepView, Tool

FULL: Final = 100
"""Points that make a complexity of 1."""

PRIORS: Final[Mapping[str, int]] = {
    "reasoning": 60,
    "planning": 40,
    "code_repair": 36,
    "code_generation": 34,
    "verification": 30,
    "brainstorming": 26,
    "creative_writing": 26,
    UNKNOWN: 26,
    "summarization": 24,
    "tool_use": 24,
    "retrieval": 20,
    "extraction": 20,
    "rewriting": 18,
    "closed_qa": 16,
    "classification": 14,
    "translation": 12,
    "open_qa": 10,
    "chat": 2,
}
"""Points of the task type alone."""

POINTS: Final[Mapping[str, tuple[int, int]]] = {
    "constraints": (3, 15),
    "steps": (4, 12),
    "building a system": (9, 27),
    "explaining or comparing": (10, 15),
    "reasoning or maths": (6, 24),
    "several parts": (3, 15),
    "code to read": (3, 9),
    "tools to choose from": (1, 8),
    "a schema to fill": (4, 4),
    "images": (4, 8),
    "long context": (3, 15),
    "a long request": (1, 8),
    "many turns": (1, 5),
}
"""Signal -> (points for each count, at most): those of `WORDS` first, then what `_counts` counts, in its order."""

WORDS: Final[Mapping[str, str]] = {
    "constraints": (
        "must only exactly least most without ensure never always should require requires required include including "
        "constraint constraints limit avoid except unless both respectively edge handle supporting given zero "
        "incluir mit sin avec sans inclure"
    ),
    "steps": "first then next finally after before second third step steps stage phase lastly",
    "building a system": (
        "design build architect architecture system platform pipeline distributed engine framework migrate migration "
        "scalable optimize concurrent consensus protocol compiler scheduler infrastructure orchestration integration "
        "diseña construye entwirf baue conçois concevoir construis projete construa zaprojektuj zbuduj tasarlayın "
        "sistema sistem système thiết xây"
    ),
    "explaining or comparing": (
        "explain compare difference differences differ tradeoffs trade analyze analyse evaluate how why describe walk "
        "discuss explica explique erkläre wyjaśnij açıkla compara vergleiche porównaj diferencia différence "
        "unterschied cómo wie comment nasıl jak giải review revisa debug"
    ),
    "reasoning or maths": (
        "prove proof derive theorem lemma induction integral probability equation optimal equilibrium converge "
        "converges rigorous formally closed bound bounds complexity contradiction eigenvalue maximize minimize "
        "recurrence show demuestra démontre beweise udowodnij kanıtlayın chứng deriva"
    ),
}
"""Signal -> words; each different one counts once."""

PIECES: Final[Mapping[str, str]] = {
    "building a system": (
        "设计 构建 系统 分布式 平台 設計 構築 システム 설계 구축 시스템 파이프라인 спроектир систем построй разработ "
        "صمم نظام ابن डिज़ाइन प्रणाली 实现一个"
    ),
    "explaining or comparing": (
        "解释 比较 区别 説明 違い 比較 설명 비교 차이 объясн сравн разниц اشرح قارن समझा तुलना 如何 总结 レビュー "
        "まとめ 요약 审查 写 напиши 書いて 작성"
    ),
    "reasoning or maths": "证明 推导 証明 導出 증명 유도 докаж вывед أثبت اثبت सिद्ध 求 구하",
}
"""The same as pieces of words, for scripts without blanks and languages that inflect."""

_CODE_WORDS = ("def ", "class ", "import ", "Traceback")
_CODE_SIGNS = (("`", "```"), ("#", "#include"), (";", "();"), (";", "};"))
"""Most prose has not even the one character that such a sign cannot do without, and that is found much faster."""
_SPOKEN = tuple(WORDS)
_PLACES_OF: dict[str, tuple[int, ...]] = {}
for _place, _listing in enumerate(WORDS.values()):
    for _word in dict.fromkeys(_listing.split()):
        _PLACES_OF[_word] = (*_PLACES_OF.get(_word, ()), _place)
_KNOWN = frozenset(_PLACES_OF)
_PIECES = tuple((_SPOKEN.index(signal), tuple(listing.split())) for signal, listing in PIECES.items())
_TABLE = tuple((each, most, f"complexity: {signal}") for signal, (each, most) in POINTS.items())


def complexity(
    view: StepView, text: Words, tools: Sequence[Tool], schema: Mapping[str, Any] | None, task_type: str
) -> tuple[float, tuple[str, ...]]:
    """Return the complexity from 0 (trivial) to 1 (demanding), and the signals that weigh most, weightiest first."""
    counts = _counts(view, text, tools, schema)
    earned = [
        (points if (points := each * count) < most else most, reason)
        for count, (each, most, reason) in zip(counts, _TABLE, strict=True)
        if count > 0
    ]
    total = PRIORS[task_type] + sum([points for points, _ in earned])
    earned.sort(key=itemgetter(0), reverse=True)
    return min(total, FULL) / FULL, tuple([reason for _, reason in earned[:3]])


def _counts(view: StepView, text: Words, tools: Sequence[Tool], schema: Mapping[str, Any] | None) -> list[int]:
    """Count what each signal stands for, in the order of `POINTS`; what is not there is 0 or less."""
    counts = _spoken(view.user, text)
    user = view.user
    counts += (
        max(0, _commas(user) - 1) + (user.count("\n- ") if "\n" in user else 0),
        sum(map(user.__contains__, _CODE_WORDS)) + sum([sign in user for char, sign in _CODE_SIGNS if char in user]),
        len(tools),
        schema is not None,
        view.images,
        view.chars.bit_length() - 12,  # one from 4,096 characters, one more per doubling
        len(user) // 100,
        view.turns // 4,
    )
    return counts


def _commas(user: str) -> int:
    return user.count(", ") + (0 if user.isascii() else user.count("、") + user.count("，"))


def _spoken(user: str, text: Words) -> list[int]:
    """Count the words that stand for a signal."""
    counts = [0] * len(WORDS)
    for word in _KNOWN & text.unique:
        for place in _PLACES_OF[word]:
            counts[place] += 1
    if not user.isascii():
        for place, pieces in _PIECES:
            counts[place] += sum(map(user.__contains__, pieces))
    return counts
