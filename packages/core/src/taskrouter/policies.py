"""The policies that a router may be asked to decide by, each with the selector that carries it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from taskrouter.arguments import named, unknown
from taskrouter.config import ModelConfig, PolicyConfig, RuleConfig
from taskrouter.errors import ConfigurationError
from taskrouter.planning import make_selector
from taskrouter.ports import Selector, SelectorFactory

PolicySpec: TypeAlias = PolicyConfig | str | Mapping[str, Any]
"""A policy as users write it: a name, weights, or a table as in `[policy]`."""


class Policies:
    """Makes the selector of a policy once, and finds wrong names before the first step.

    Args:
        default: the policy of steps for which nothing sets another.
        rules: may set policies and name models.
        factories: what makes selectors, by a policy's name.
        models: the pool by id.

    Raises:
        ConfigurationError: a policy or a model that is named is unknown.
    """

    def __init__(
        self,
        default: PolicyConfig,
        rules: Sequence[RuleConfig],
        *,
        factories: Mapping[str, SelectorFactory],
        models: Mapping[str, ModelConfig],
    ) -> None:
        self.default = default
        self._factories = factories
        self._models = models
        self._selectors: dict[PolicyConfig, Selector] = {}
        self._default_selector: Selector | None = None
        self._default_selector = self.selector(default)
        self._check_references(rules)

    def selector(self, config: PolicyConfig, where: str = "policy") -> Selector:
        """Return what chooses by a policy.

        Raises:
            ConfigurationError: nobody offers a policy of that name.
        """
        if config is self.default and self._default_selector is not None:
            return self._default_selector  # hashing a configuration takes longer than choosing a model
        selector = self._selectors.get(config)
        if selector is None:
            factory = named(self._factories, config.name, where)
            selector = self._selectors[config] = make_selector(factory, config)
        return selector

    def checked(self, policy: PolicySpec) -> PolicyConfig:
        """Read a policy as users write it.

        Raises:
            ConfigurationError: it is none, or names an unknown model.
        """
        config = PolicyConfig.of(policy)
        self.known(config.escalation, "policy.escalation")
        return config

    def known(self, ids: Iterable[str], where: str) -> frozenset[str]:
        """Return the ids as a set, or say which of them is not in the pool.

        Raises:
            ConfigurationError: one of them is not, or they are no list of ids.
        """
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise ConfigurationError(f"{where} must be a list of model ids, not {ids!r:.80}")
        wanted = tuple(ids)
        for name in wanted:
            if not isinstance(name, str) or name not in self._models:
                raise ConfigurationError(f"{where}: {unknown('model', name, self._models, 'the pool has')}")
        return frozenset(wanted)

    def _check_references(self, rules: Sequence[RuleConfig]) -> None:
        """Find wrong names now, when the router is built, and not when a rule first matches."""
        for position, rule in enumerate(rules):
            where = f"rules[{position}] ({rule.name!r})"
            if rule.use is not None:
                self.known(rule.use, f"{where}.use")
            self.known(sorted(rule.avoid), f"{where}.avoid")
            if rule.policy is not None:
                self.selector(rule.policy, f"{where}.policy")
                self.known(rule.policy.escalation, f"{where}.policy.escalation")
        self.known(self.default.escalation, "policy.escalation")
