"""`taskrouter simulate`: serve simulated models on loopback."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from taskrouter.cli.output import JsonOption, out, usd
from taskrouter.simulator import ChaosScript, Phase, RunningServer, SimulatorConfig, load, serve

DEFAULT_PORT = 8321


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    config: Annotated[
        Path | None, typer.Argument(help="TOML file with the models to simulate; default: the bundled ones.")
    ] = None,
    chaos: Annotated[Path | None, typer.Option(help="TOML file with an outage in phases, to be replayed.")] = None,
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes any free one.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Loopback address to serve on.")] = "127.0.0.1",
    as_json: JsonOption = False,
) -> None:
    """Serve simulated models through an OpenAI-compatible API on this machine, until Ctrl-C.

    Nothing leaves the machine and no key is needed. Every answer is simulated, and says so.
    """
    try:
        with serve(load(config), chaos=chaos, host=host, port=port) as server:
            if as_json:
                typer.echo(json.dumps(_document(server)))
            else:
                _introduce(server)
            _wait()
    except KeyboardInterrupt:
        raise typer.Exit from None


def _wait() -> None:
    """Wait for Ctrl-C; the server answers in its own thread."""
    threading.Event().wait()


def _document(server: RunningServer) -> dict[str, Any]:
    script = server.chaos_script
    return {
        "base_url": server.base_url,
        "models": [model.id for model in server.config.models],
        "phases": [
            {**phase.model_dump(mode="json", exclude_defaults=True), "name": name}
            for name, phase in (script.named() if script else ())
        ],
        "simulated": True,
    }


def _introduce(server: RunningServer) -> None:
    out.print(f"Simulated models at [bold]{server.base_url}[/bold]. All answers are simulated.\n")
    out.print(_table(server.config))
    if server.chaos_script is not None:
        out.print("\nThe outage, in phases; where they overlap, the first one rules:\n")
        out.print(_phases(server.chaos_script))
    out.print("\nPoint an OpenAI client at it:")
    out.print(f"  export OPENAI_BASE_URL={server.base_url} OPENAI_API_KEY=simulated", soft_wrap=True, highlight=False)
    out.print(f"What it received: {server.url}/sim/requests. Stop with Ctrl-C.", soft_wrap=True)


def _table(config: SimulatorConfig) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("model")
    for name in ("input $/M", "output $/M", "context", "first token", "tokens/s", "skill"):
        table.add_column(name, justify="right")
    table.add_column("takes")
    for model in config.models:
        takes = [name for name in ("tools", "vision", "json_schema") if getattr(model, name)]
        table.add_row(
            model.id,
            usd(model.input_usd_per_million),
            usd(model.output_usd_per_million),
            f"{model.context_tokens:,}",
            f"{model.first_token_s:g} s",
            f"{model.output_tokens_per_s:g}",
            f"{model.skill:.0%}",
            ", ".join(takes) or "text",
        )
    return table


def _phases(script: ChaosScript) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("phase", "models", "when", "what"):
        table.add_column(name, overflow="fold")
    for name, phase in script.named():
        models = ", ".join(phase.models or ("every model",))
        table.add_row(escape(name), escape(models), _when(phase), _what(phase))
    return table


def _when(phase: Phase) -> str:
    if phase.after_s is not None or phase.for_s is not None:
        start = phase.after_s or 0
        return f"{start:g} s to {start + phase.for_s:g} s" if phase.for_s else f"from {start:g} s on"
    first = (phase.after_requests or 0) + 1
    if phase.requests:
        return f"requests {first} to {first + phase.requests - 1}" if phase.requests > 1 else f"request {first}"
    return f"from request {first} on" if first > 1 else "always"


def _what(phase: Phase) -> str:
    if phase.rates:
        return ", ".join(f"{fault} {rate:.4g}" for fault, rate in phase.rates.rates())
    return ", ".join(phase.faults or ())
