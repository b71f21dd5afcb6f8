"""A configuration, asked what it would do with steps of which only the record in the ledger is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from taskrouter.arguments import checked_incumbent
from taskrouter.catalog import Catalog
from taskrouter.config import PolicyConfig, RouterConfig
from taskrouter.errors import ConfigurationError
from taskrouter.learning.files import given_policy
from taskrouter.learning.policy import usable
from taskrouter.ledger import Record
from taskrouter.planning import BY_CIRCUMSTANCES, TEACHABLE, Planner, make_selector, trusted
from taskrouter.plugins import load_plugins, offered, registered
from taskrouter.policy import Eligibility, RuleSet
from taskrouter.pool import as_served, build_pool
from taskrouter.ports import WELL, Selector
from taskrouter.profile import FAMILIES, UNKNOWN, TaskProfile
from taskrouter.step import Step, StepContext

_TOOL = {"type": "function", "function": {"name": "tool"}}


class NewPolicy:
    """A configuration, asked what it would do with steps of which only the record is left.

    It decides as the router does: rules, hard constraints, policy, and the learned policy that the configuration names.
    Models that were out at the moment stay out. Prompt caches, observed latencies and short budgets are not replayed.

    Args:
        config: the new configuration; it has been found good.
        plugins: further plugins beside the installed ones.
    """

    def __init__(self, config: RouterConfig, *, plugins: Sequence[object] = ()) -> None:
        pool = build_pool(config.models, Catalog.bundled())
        cards = {model.id: model for model in pool}
        incumbent = checked_incumbent(config.router.incumbent, cards)
        given = given_policy(config.learning, cards, incumbent)
        # Of tenants and tags nothing is kept, so whether such a rule would have matched cannot be told.
        self.left_out = tuple(rule.name for rule in config.rules if rule.when.tenant or rule.when.tags)
        """Rules that look at tenants or tags: they are taken not to match."""
        self.name = config.policy.name
        self._ids = list(cards)
        self._policy = config.policy
        self._learned = None if given is None else given.policy
        self.learned = None if self._learned is None else self._learned.version
        """Version of the learned policy; None: there is none."""
        self._rules = RuleSet([rule for rule in config.rules if rule.name not in self.left_out])
        self._eligibility = Eligibility(as_served(pool), margin=config.router.margin)
        self._planner = Planner(pool, incumbent=self._ids.index(incumbent))
        self._factories = offered(registered(load_plugins(plugins), "taskrouter_selectors"), "policy")
        self._selectors: dict[PolicyConfig, Selector] = {}
        self._steps: dict[tuple[str | None, str | None, bool], Step] = {}

    @property
    def models(self) -> frozenset[str]:
        """Ids of the pool."""
        return frozenset(self._ids)

    def chances(self, record: Record) -> Mapping[str, float] | None:
        """Return the chance of each plan on a logged step; None where no model may take it.

        Raises:
            ConfigurationError: the policy draws among plans and does not say which.
        """
        step = self._step(record)
        profile = self._profile(record, step)
        effects = self._rules.effects(step, profile)
        demands = effects.demands if record.use is None else effects.demands.only(record.use)
        eligible, _ = self._eligibility.check(profile, demands, max_cost_usd=effects.max_cost_usd)
        if not eligible:
            return None
        standing = tuple(i for i in eligible if self._ids[i] not in record.out) or eligible
        config = effects.policy or self._policy
        trust = trusted(config).get(record.comparable) if record.comparable else None
        planned = self._planner.plan(profile, standing, self._selector(config), WELL, config.escalation, trust)
        choice = planned.choice
        if self._learned is not None and config.name in TEACHABLE and choice.reason not in BY_CIRCUMSTANCES:
            branches = self._learned.branches.get(record.identity, ())
            able = usable(branches, allowed={self._ids[i] for i in standing}, several=record.several)
            if able:
                return {str(branch.plan): branch.share for branch in able}
        chances = {str(planned.plan): choice.propensity, **{str(plan): chance for plan, chance in choice.alternatives}}
        if sum(chances.values()) < 1 - 1e-6:
            raise ConfigurationError(
                f"policy {config.name!r} draws among plans and does not say which: it cannot be replayed until its "
                "`Choice.alternatives` names them"
            )
        return chances

    def _step(self, record: Record) -> Step:
        """A step that rules can look at."""
        key = (record.agent, record.node, record.tools)
        if key not in self._steps:
            self._steps[key] = Step(
                messages=[{"role": "user", "content": "not kept"}],
                tools=[_TOOL] if record.tools else (),
                context=StepContext(agent=record.agent, node=record.node),
            )
        return self._steps[key]

    def _profile(self, record: Record, step: Step) -> TaskProfile:
        profile = record.profile.profile
        task_type, sensitivity = self._rules.declarations(step)
        if task_type is not None:
            family = FAMILIES.get(task_type, UNKNOWN)
            profile = replace(profile, task_type=task_type, family=family, confidence=1.0, evidence="declared")
        return profile if sensitivity == "unspecified" else replace(profile, sensitivity=sensitivity)

    def _selector(self, config: PolicyConfig) -> Selector:
        if config not in self._selectors:
            self._selectors[config] = make_selector(self._factories[config.name], config)
        return self._selectors[config]
