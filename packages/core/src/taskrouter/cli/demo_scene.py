"""One run of the demo agent through a router, and the account of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskrouter.config import RouterConfig, read_toml
from taskrouter.errors import ExecutionError
from taskrouter.hookspecs import hookimpl
from taskrouter.outcome import Outcome
from taskrouter.ports import Demo, DemoStage
from taskrouter.profile import TASK_TYPES
from taskrouter.router import Router

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

TASK = (
    "Explain to a new user how TaskRouter decides where a step goes, and write a function that sums the cost of a run."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of running the agent once."""

    name: str
    kind: str
    """`router`, `single model` or `policy`."""
    outcomes: tuple[Outcome[Any], ...]
    answer: str
    wall_s: float
    error: str | None = None

    @property
    def cost_usd(self) -> float | None:
        """Cost of all calls of the run; None as soon as one is unknown."""
        costs = [outcome.cost_usd for outcome in self.outcomes]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def busy_s(self) -> float:
        """Seconds spent on answering steps, retries and fallbacks included."""
        return sum(outcome.latency_s for outcome in self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """The run as JSON-ready values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "cost_usd": self.cost_usd,
            "wall_s": self.wall_s,
            "model_time_s": self.busy_s,
            "error": self.error,
            "steps": [step_row(number, outcome) for number, outcome in enumerate(self.outcomes, start=1)],
        }


@dataclass(slots=True)
class _Watcher:
    """A plugin that collects the outcomes of a run as they come."""

    seen: Callable[[Outcome[Any]], None]
    outcomes: list[Outcome[Any]] = field(default_factory=list)

    @hookimpl
    def taskrouter_completed(self, outcome: Outcome[Any]) -> None:
        """Collect an outcome."""
        self.outcomes.append(outcome)
        self.seen(outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything a run needs beside its policy."""

    config: RouterConfig
    demo: Demo
    docs: Path
    base_url: str = ""
    tracer_provider: TracerProvider | None = None
    ledger: Path | None = None
    """File that the steps are recorded in; None: they are not."""

    def run(
        self,
        name: str,
        kind: str,
        *,
        only: Sequence[str] | None = None,
        seen: Callable[[Outcome[Any]], None] = lambda _: None,
    ) -> Run:
        """Run the agent, with another policy (`kind` is `policy`) or with some models only."""
        config = self.config
        changes: dict[str, Any] = {}
        if kind == "policy":
            changes["policy"] = config.policy.model_copy(update={"name": name})
        if only is not None:
            changes["models"] = tuple(model for model in config.models if model.id in only)
            changes["router"] = config.router.model_copy(update={"incumbent": only[0]})
        if self.ledger is not None:
            changes["state"] = config.state.model_copy(update={"url": f"sqlite:///{self.ledger.absolute()}"})
        watcher = _Watcher(seen)
        router = Router.from_config(
            config.model_copy(update=changes), plugins=[watcher], tracer_provider=self.tracer_provider
        )
        started_s = time.monotonic()
        answer, error = "", None
        with router:
            try:
                stage = DemoStage(router=router, base_url=self.base_url, docs=str(self.docs), task=TASK)
                answer = self.demo.run(stage)
            except Exception as failure:  # frameworks wrap our errors in classes of their own
                if not _is_execution_error(failure):
                    raise
                error = "no model answered"
        return Run(
            name=name,
            kind=kind,
            outcomes=tuple(watcher.outcomes),
            answer=answer,
            wall_s=time.monotonic() - started_s,
            error=error,
        )


def _is_execution_error(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, ExecutionError):
            return True
        failure = failure.__cause__ or failure.__context__
    return False


def simulated() -> tuple[Mapping[str, Any], Callable[[str], RouterConfig]]:
    """Return the simulator's configuration, and what makes the pool's once the server's address is known."""
    scene = read_toml(Path(str(files("taskrouter.cli") / "demo_scene.toml")))
    facts = {model["id"]: model for model in scene["simulator"]["models"]}

    def pool(base_url: str) -> RouterConfig:
        models = [
            {
                **model,
                **{name: facts[model["model"]][name] for name in _FACTS},
                "base_url": base_url,
                "capabilities": {"tools": True, "json_schema": True, "vision": False},
                "context_tokens": 128_000,
                "quality": _quality(scene["quality"][model["id"]]),
                "source": "simulated",
            }
            for model in scene["pool"]["models"]
        ]
        return RouterConfig.load({**scene["pool"], "models": models, "policy": "balanced"})

    return scene["simulator"], pool


_FACTS = ("input_usd_per_million", "output_usd_per_million", "first_token_s", "output_tokens_per_s")


def _quality(given: Mapping[str, float]) -> dict[str, Any]:
    return {
        task: {"mean": given.get(task, given["elsewhere"]), "source": "invented for the demo"} for task in TASK_TYPES
    }


def step_row(number: int, outcome: Outcome[Any]) -> dict[str, Any]:
    """One line of the table of steps."""
    decision, context = outcome.decision, outcome.decision.context
    return {
        "step": number,
        "agent": context.agent,
        "node": context.node or "-",
        "task_type": decision.profile.task_type,
        "model": outcome.model,
        "why": decision.reason if outcome.status == "ok" else f"{decision.model} failed, fell back",
        "attempts": len(outcome.attempts),
        "input_tokens": outcome.usage.input_tokens,
        "output_tokens": outcome.usage.output_tokens,
        "cost_usd": outcome.cost_usd,
        "latency_s": outcome.latency_s,
        "decision_id": decision.id,
    }
