"""`taskrouter route`: decide for a prompt and say why; nothing is sent anywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from taskrouter.cli.output import JsonOption, emit_json, err, out
from taskrouter.cli.pools import ConfigOption, build_router, load_config, with_policy
from taskrouter.config import read_text
from taskrouter.errors import ConfigurationError
from taskrouter.step import Step, StepContext


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("route")(route)


def route(
    prompt: Annotated[str, typer.Argument(help="The prompt; `-` reads it from standard input.")],
    config: ConfigOption = None,
    policy: Annotated[str | None, typer.Option(help="Another policy than the configured one.")] = None,
    system: Annotated[str | None, typer.Option(help="System prompt, or @FILE.")] = None,
    task: Annotated[str | None, typer.Option(help="Declare the task type.")] = None,
    agent: Annotated[str | None, typer.Option(help="Name of the agent.")] = None,
    node: Annotated[str | None, typer.Option(help="Node of the graph.")] = None,
    json: JsonOption = False,
) -> None:
    """Show where a step would go, and why. Nothing is sent anywhere."""
    settings, origin = load_config(config)
    router = build_router(with_policy(settings, policy), origin)
    if settings.learning.policy is None and not settings.state.url.startswith("memory:"):
        router.learn()  # as a router does by itself once it runs
    messages = [{"role": "user", "content": _stdin() if prompt == "-" else prompt}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": _text(system)})
    decision = router.route(Step(messages=messages, task_type=task, context=StepContext(agent=agent, node=node)))
    if json:
        emit_json(decision.to_dict())
        return
    out.print(decision.explain(), markup=False, highlight=False, soft_wrap=True)
    err.print(f"pool: {origin}", style="dim", markup=False, highlight=False, soft_wrap=True)


def _text(value: str) -> str:
    if not value.startswith("@"):
        return value
    try:
        return read_text(Path(value[1:]))
    except ConfigurationError as error:
        raise ConfigurationError(f"--system: {error}") from error


def _stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError("standard input: it is not UTF-8 text") from error
