"""TaskRouter: routes each step of an agent to the model that is good enough, cheapest and fast enough.

Names are resolved when they are first used, so that `import taskrouter` stays cheap in programs that only want it
later (`docs/decisions/0001-lazy-root.md`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskrouter.budget import Budget
    from taskrouter.catalog import Capabilities, ModelCard, QualityPrior
    from taskrouter.config import RouterConfig
    from taskrouter.decision import Decision, Plan, Rejection, ScoredPlan
    from taskrouter.errors import (
        AllAttemptsFailedError,
        BudgetExceededError,
        ConfigurationError,
        ExecutionError,
        FeedbackError,
        InvalidStepError,
        MissingExtraError,
        ModelCallError,
        NoEligibleModelError,
        PluginError,
        RoutingError,
        StreamBroken,
        TaskRouterError,
    )
    from taskrouter.hookspecs import hookimpl
    from taskrouter.outcome import Attempt, Outcome, ResponseView, ToolCall, Usage
    from taskrouter.profile import TaskProfile
    from taskrouter.router import Router
    from taskrouter.step import Step, StepContext

_HOMES = {
    "budget": ("Budget",),
    "catalog": ("Capabilities", "ModelCard", "QualityPrior"),
    "config": ("RouterConfig",),
    "decision": ("Decision", "Plan", "Rejection", "ScoredPlan"),
    "errors": (
        "AllAttemptsFailedError",
        "BudgetExceededError",
        "ConfigurationError",
        "ExecutionError",
        "FeedbackError",
        "InvalidStepError",
        "MissingExtraError",
        "ModelCallError",
        "NoEligibleModelError",
        "PluginError",
        "RoutingError",
        "StreamBroken",
        "TaskRouterError",
    ),
    "hookspecs": ("hookimpl",),
    "outcome": ("Attempt", "Outcome", "ResponseView", "ToolCall", "Usage"),
    "profile": ("TaskProfile",),
    "router": ("Router",),
    "step": ("Step", "StepContext"),
}
_HOME_OF = {name: f"taskrouter.{module}" for module, names in _HOMES.items() for name in names}

__version__ = "0.1.0"
__all__ = [
    "AllAttemptsFailedError",
    "Attempt",
    "Budget",
    "BudgetExceededError",
    "Capabilities",
    "ConfigurationError",
    "Decision",
    "ExecutionError",
    "FeedbackError",
    "InvalidStepError",
    "MissingExtraError",
    "ModelCallError",
    "ModelCard",
    "NoEligibleModelError",
    "Outcome",
    "Plan",
    "PluginError",
    "QualityPrior",
    "Rejection",
    "ResponseView",
    "Router",
    "RouterConfig",
    "RoutingError",
    "ScoredPlan",
    "Step",
    "StepContext",
    "StreamBroken",
    "TaskProfile",
    "TaskRouterError",
    "ToolCall",
    "Usage",
    "__version__",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if (home := _HOME_OF.get(name)) is None:
        raise AttributeError(f"module 'taskrouter' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
