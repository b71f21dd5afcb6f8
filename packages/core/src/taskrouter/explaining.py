"""A decision in words: one text for whoever asks, whether it was just made or is read back from the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from taskrouter.profile import TaskProfile

if TYPE_CHECKING:  # decisions explain themselves with this
    from taskrouter.decision import ScorePart


class Expected(NamedTuple):
    """What a plan is expected to lose against the incumbent, a share of quality, with its 95 % interval."""

    mean: float
    low: float
    high: float
    source: str


class Row(NamedTuple):
    """A line of the ranking."""

    plan: str
    score: float
    quality: float
    source: str
    """What the quality rests on, as `shortened` gives it."""
    cost_usd: float | None
    latency_s: float | None
    cached_tokens: int = 0
    parts: Sequence[ScorePart] = ()


class Left(NamedTuple):
    """A model that was left out."""

    model: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """All that is said of a decision, as plain values; what is not known any more is left out."""

    id: str
    model: str
    reason: str
    detail: str
    profile: TaskProfile
    policy: str
    policy_version: str
    rule: str | None
    incumbent: str
    propensity: float | None
    duration_s: float | None
    certificate: str | None
    regions: Sequence[str] | None
    loss: Expected | None
    ranking: Sequence[Row]
    rejected: Sequence[Left]
    fallbacks: Sequence[str]


def lines_of(grounds: Grounds) -> list[str]:
    """Return the explanation, line by line."""
    return [plain(line) for line in _lines(grounds)]


def shortened(source: str) -> str:
    """Return the first of several sources, for a line that people read; JSON has them all."""
    first, *others = source.split("; ")
    return f"{first}; {len(others)} more" if others else first


def plain(text: str) -> str:
    """Return a text that stays on its line, and that a terminal shows as it is: names may come from anywhere."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else _seen(sign) for sign in text)


def _seen(sign: str) -> str:
    return " " if sign.isspace() else "\N{REPLACEMENT CHARACTER}"


def _lines(grounds: Grounds) -> Iterator[str]:
    profile = grounds.profile
    yield f"decision  {grounds.id}  {grounds.model}  ({grounds.reason})"
    if grounds.detail:
        yield f"why       {grounds.detail}"
    yield (
        f"step      {profile.task_type} (confidence {profile.confidence:.2f}, by {profile.evidence}), "
        f"complexity {profile.complexity:.2f}, "
        f"about {profile.input_tokens:,} tokens in and {profile.output_tokens:,} out"
    )
    if profile.signals:
        yield f"signals   {'; '.join(profile.signals)}"
    yield f"policy    {', '.join(_policy(grounds))}"
    if grounds.certificate is not None:
        yield f"promise   {grounds.certificate}"
    if grounds.regions is not None:
        yield f"regions   only {', '.join(sorted(grounds.regions)) or 'none'}"
    if (loss := grounds.loss) is not None:
        yield (
            f"loss      {100 * loss.mean:+.1f} points against {grounds.incumbent} expected, 95 % within "
            f"{100 * loss.low:+.1f} to {100 * loss.high:+.1f} ({shortened(loss.source)})"
        )
    if grounds.ranking:
        yield "ranking"
        yield from (_row(number, row) for number, row in enumerate(grounds.ranking, start=1))
    if grounds.rejected:
        yield "rejected"
        yield from (_left(left, grounds.fallbacks) for left in grounds.rejected)


def _policy(grounds: Grounds) -> Iterator[str]:
    yield f"{grounds.policy} ({grounds.policy_version})"
    if grounds.rule:
        yield f"rule {grounds.rule!r}"
    yield f"incumbent {grounds.incumbent}"
    yield "propensity unknown" if grounds.propensity is None else f"propensity {grounds.propensity:.2f}"
    if grounds.duration_s is not None:
        yield f"decided in {grounds.duration_s * 1e6:.0f} µs"


def _left(left: Left, fallbacks: Sequence[str]) -> str:
    last = "; tried as a last resort" if left.model in fallbacks else ""
    return f"  {left.model}: {left.detail} ({left.code}){last}"


def _row(number: int, row: Row) -> str:
    quality = f"quality {row.quality:.3f} ({row.source})"
    cost = "cost unknown" if row.cost_usd is None else f"${row.cost_usd:.6f}"
    if row.cached_tokens:
        cost += f" with {row.cached_tokens:,} tokens cached"
    latency = "latency unknown" if row.latency_s is None else f"{row.latency_s:.2f} s"
    parts = "".join(f", {_part(part)}" for part in row.parts)
    return f"  {number:>2}. {row.plan}  score {row.score:+.4f}  {quality}, {cost}, {latency}{parts}"


def _part(part: ScorePart) -> str:
    effect = "unknown" if part.contribution is None else f"{part.contribution:+.3f}"
    saved = f" (saves ${part.value:.6f})" if part.name == "prompt_cache" and part.value is not None else ""
    return f"{part.name} {effect}{saved}"
