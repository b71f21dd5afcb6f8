"""The pool that commands work with when no configuration is given, so that they can be tried at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from taskrouter.arguments import said_of
from taskrouter.config import PolicyConfig, RouterConfig
from taskrouter.router import Router

CONFIG_FILE = Path("taskrouter.toml")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help=f"Configuration; default: {CONFIG_FILE} if it is there, else a sample pool."),
]

SAMPLE: Mapping[str, Any] = {
    "router": {"incumbent": "large"},
    "models": [
        {"id": "small", "model": "openai/gpt-4.1-mini"},
        {"id": "medium", "model": "openai/gpt-4.1"},
        {"id": "large", "model": "openai/gpt-4o"},
    ],
}
"""Three well-known models: enough to see what a decision looks like."""


def load_config(path: Path | None) -> tuple[RouterConfig, str]:
    """Return the configuration and where it comes from."""
    if path is None and not CONFIG_FILE.exists():
        return RouterConfig.load(SAMPLE), "a sample pool (no taskrouter.toml here)"
    found = path or CONFIG_FILE
    return RouterConfig.load(found), str(found)


def with_policy(config: RouterConfig, policy: str | None) -> RouterConfig:
    """Return the configuration with another policy, if one is named."""
    if policy is None or policy == config.policy.name:
        return config
    kept = config.policy.model_dump(exclude={"name", "weights"})
    return config.model_copy(update={"policy": PolicyConfig.of({**kept, "name": policy})})


def build_router(config: RouterConfig, origin: str) -> Router:
    """Build the router; what is wrong with it is said of the file that it comes from."""
    with said_of(origin):
        return Router.from_config(config)
