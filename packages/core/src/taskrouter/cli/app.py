"""The Typer application: it gathers the commands and turns our errors into one line and an exit code."""

from __future__ import annotations

import io
import sys
from typing import NoReturn

import typer

from taskrouter import __version__
from taskrouter.cli import (
    calibrate,
    check,
    demo,
    evaluate,
    explain,
    import_,
    models,
    replay,
    report,
    route,
    simulate,
    top,
    tune,
    view,
)
from taskrouter.cli.output import err
from taskrouter.errors import ConfigurationError, FeedbackError, InvalidStepError, TaskRouterError
from taskrouter.plugins import load_plugins, registered

USAGE_ERROR, FAILED_RUN, INTERRUPTED = 2, 1, 130


def build() -> typer.Typer:
    """Assemble the command line: our commands first, then those of plugins."""
    app = typer.Typer(
        name="taskrouter",
        help="Send each step of an agent to the model that is good enough, cheapest and fast enough.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for command in (
        demo,
        route,
        models,
        check,
        calibrate,
        evaluate,
        tune,
        replay,
        import_,
        simulate,
        report,
        explain,
        top,
        view,
    ):
        command.register(app)
    registered(load_plugins(), "taskrouter_commands", app=app)
    return app


def main() -> None:
    """Run the command line. Exit code 2 for usage and configuration, 1 for a run that failed, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a sign still shows the rest
    try:
        build()()
    except SystemExit as left:
        if left.code == INTERRUPTED:
            err.print("taskrouter: interrupted", style="dim")
        raise
    except TaskRouterError as error:
        usage = isinstance(error, ConfigurationError | InvalidStepError | FeedbackError)
        _fail(str(error), USAGE_ERROR if usage else FAILED_RUN)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", FAILED_RUN)


def _fail(message: str, code: int) -> NoReturn:
    line = " ".join(message.split())
    err.print(f"taskrouter: {line}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Send each step of an agent to the model that is good enough, cheapest and fast enough."""
