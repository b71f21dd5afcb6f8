"""`taskrouter view`: a trace viewer on this machine, ready for our spans."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from taskrouter.cli import phoenix
from taskrouter.cli.interrupts import as_interrupts
from taskrouter.cli.output import JsonOption, err, out
from taskrouter.errors import ExecutionError
from taskrouter.observability.otlp_file import read_otlp_json

DEFAULT_PORT = 6006


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(view)


def view(
    trace: Annotated[
        Path | None, typer.Argument(help="OTLP-JSON file to show, such as `taskrouter demo` writes.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to serve on; 0 takes any free one.")] = DEFAULT_PORT,
    python: Annotated[
        Path | None, typer.Option(help=f"Python of the environment that has Phoenix, or {phoenix.PYTHON_VARIABLE}.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for its database; default: Phoenix's own.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show traces in Arize Phoenix, on this machine alone, until Ctrl-C.

    Phoenix is started with everything switched off that would talk to the world.
    """
    requests = [] if trace is None else read_otlp_json(trace)
    command, port = phoenix.find(python), phoenix.free_port(port)
    try:
        with as_interrupts(), ExitStack() as stack:
            with err.status("starting the viewer ..."):
                viewer = stack.enter_context(phoenix.running(command, port, data))
            for request in requests:
                viewer.send(request)
            _introduce(viewer, trace, as_json=as_json)
            raise ExecutionError(f"the viewer ended by itself, with code {viewer.process.wait()}")
    except KeyboardInterrupt:
        raise typer.Exit from None


def _introduce(viewer: phoenix.Phoenix, trace: Path | None, *, as_json: bool) -> None:
    if as_json:
        document = {
            "url": viewer.url,
            "otlp": f"{viewer.url}/v1/traces",
            "pid": viewer.process.pid,
            "trace": None if trace is None else str(trace),
        }
        typer.echo(json.dumps(document))  # one line, as long as the viewer runs
        return
    out.print(f"Phoenix at [bold]{viewer.url}[/bold]", soft_wrap=True, highlight=False)
    if trace is not None:
        out.print(f"shows {trace}", markup=False, highlight=False, soft_wrap=True)
    for line in (
        "Send traces there, in Python:",
        f"  taskrouter.observability.configure({viewer.url!r})",
        "or, where that is called without an address:",
        f"  export OTEL_EXPORTER_OTLP_ENDPOINT={viewer.url}",
    ):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    err.print(
        "Phoenix also takes spans over gRPC, on a random port of all addresses; it has no switch for that. On a network"
        " that you do not trust, let a firewall close it. Stop with Ctrl-C.",
        style="dim",
        soft_wrap=True,
    )
