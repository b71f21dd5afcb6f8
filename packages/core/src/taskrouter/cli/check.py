"""`taskrouter check`: is the configuration right, and what does the router make of it?"""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from taskrouter.cli.output import JsonOption, emit_json, out
from taskrouter.cli.pools import ConfigOption, build_router, load_config
from taskrouter.config import ModelConfig, RouterConfig
from taskrouter.router import Router

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    config: ConfigOption = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the configuration.")] = False,
    json: JsonOption = False,
) -> None:
    """Check a configuration: every key, every model, every reference to the environment."""
    if schema:
        emit_json({"$schema": DIALECT, **RouterConfig.model_json_schema()})
        return
    settings, origin = load_config(config)
    router = build_router(settings, origin)
    findings = [finding for model in router.models.values() for finding in _findings(model)]
    if json:
        emit_json(_document(router, origin, findings))
        return
    out.print(
        f"{origin}: good. {len(router.models)} models, incumbent {router.incumbent!r}, "
        f"policy {router.policy.name!r}, {len(settings.rules)} rules.",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    for finding in findings:
        out.print(f"  note: {finding}", markup=False, highlight=False, soft_wrap=True)


def _document(router: Router, origin: str, findings: list[str]) -> dict[str, Any]:
    return {
        "ok": True,
        "source": origin,
        "models": list(router.models),
        "incumbent": router.incumbent,
        "policy": router.policy.name,
        "notes": findings,
    }


def _findings(model: ModelConfig) -> list[str]:
    """What is no error, but will surprise: facts that are unknown, keys that are not set."""
    findings = []
    if not model.priced:
        findings.append(f"{model.id!r} has no known price: its cost shows as unknown, and it is never chosen to save")
    if model.context_tokens is None:
        findings.append(f"{model.id!r} has no known context window: steps of any length may be sent to it")
    if model.api_key and not os.environ.get(name := model.api_key.removeprefix("env:")):
        findings.append(f"{model.id!r} takes its key from {name}, which is not set now")
    return findings
