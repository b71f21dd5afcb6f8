"""Declarative rules: which steps they match, and what holds for those."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from typing import TypeAlias

from taskrouter.config import PolicyConfig, RuleConfig, When
from taskrouter.policy.constraints import Demands
from taskrouter.profile import Requirements, TaskProfile
from taskrouter.step import Step

OnStep: TypeAlias = Callable[[Step], bool]
OnProfile: TypeAlias = Callable[[TaskProfile], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What the matching rules say together. Constraints only tighten; of policies the last one counts."""

    demands: Demands = Demands()
    policy: PolicyConfig | None = None
    max_cost_usd: float | None = None
    rule: str | None = None
    """Name of the last rule that matched."""


class RuleSet:
    """The rules of a configuration, compiled once."""

    def __init__(self, rules: Sequence[RuleConfig]) -> None:
        self._compiled = [(_on_step(rule.when), _on_profile(rule.when), rule) for rule in rules]
        self._without_rules: dict[Requirements, Effects] = {}
        self._declares = any(rule.task_type or rule.sensitivity for rule in rules)

    def declarations(self, step: Step) -> tuple[str | None, str]:
        """Return the task type and the privacy class that rules declare for a step, from its context alone."""
        task_type, sensitivity = None, "unspecified"
        if self._declares:
            for matches, _, rule in self._compiled:
                if (rule.task_type or rule.sensitivity) and matches(step):
                    task_type = rule.task_type or task_type
                    sensitivity = rule.sensitivity or sensitivity
        return task_type, sensitivity

    def effects(self, step: Step, profile: TaskProfile) -> Effects:
        """Return what the rules matching this step say."""
        effects = self._without_rules.get(profile.requirements)
        if effects is None:
            effects = Effects(demands=Demands(requirements=profile.requirements))
            self._without_rules[profile.requirements] = effects
        for on_step, on_profile, rule in self._compiled:
            if on_step(step) and on_profile(profile):
                effects = _tightened(effects, rule)
        return effects


def _tightened(effects: Effects, rule: RuleConfig) -> Effects:
    demands = effects.demands
    limits = [limit for limit in (effects.max_cost_usd, rule.max_cost_usd) if limit is not None]
    return Effects(
        demands=replace(
            demands,
            use=_narrowed(demands.use, None if rule.use is None else frozenset(rule.use)),
            avoid=demands.avoid | rule.avoid,
            regions=_narrowed(demands.regions, rule.regions),
            tags=demands.tags | rule.require_tags,
        ),
        policy=rule.policy or effects.policy,
        max_cost_usd=min(limits, default=None),
        rule=rule.name,
    )


def _narrowed(before: frozenset[str] | None, now: frozenset[str] | None) -> frozenset[str] | None:
    if before is None or now is None:
        return now if before is None else before
    return before & now


def _on_step(when: When) -> OnStep:
    patterns = {
        name: re.compile(translate(pattern)).match
        for name in ("agent", "node", "tenant")
        if (pattern := getattr(when, name)) is not None
    }

    def matches(step: Step) -> bool:
        context = step.context
        if when.tags and not when.tags <= context.tags:
            return False
        if when.tools is not None and when.tools != bool(step.tools):
            return False
        return all(match(getattr(context, name) or "") for name, match in patterns.items())

    return matches


def _on_profile(when: When) -> OnProfile:
    exact = [
        (name, value) for name in ("task_type", "domain", "language") if (value := getattr(when, name)) is not None
    ]
    low = when.min_complexity if when.min_complexity is not None else 0.0
    high = when.max_complexity if when.max_complexity is not None else 1.0
    tokens = when.min_input_tokens or 0

    def matches(profile: TaskProfile) -> bool:
        return (
            low <= profile.complexity <= high
            and profile.input_tokens >= tokens
            and all(getattr(profile, name) == value for name, value in exact)
        )

    return matches
