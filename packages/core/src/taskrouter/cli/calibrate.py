"""`taskrouter calibrate`: the models of the pool on cases of the user's own, once or again and again."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from taskrouter.calibration import CalibrationReport, calibrate
from taskrouter.calibration import Progress as Standing
from taskrouter.cli.calibration_page import show
from taskrouter.cli.output import JsonOption, emit_json, err, usd
from taskrouter.cli.pools import ConfigOption, build_router, load_config
from taskrouter.errors import ConfigurationError, TaskRouterError

FAILED_RUN = 1
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("calibrate")(command)


def command(  # noqa: PLR0913, PLR0917 - they are the command's options
    suite: Annotated[Path, typer.Option(help="Cases, one JSON document per line.")],
    config: ConfigOption = None,
    models: Annotated[
        str | None, typer.Option(help="Ids of the candidates, by commas; default: the whole pool.")
    ] = None,
    budget_usd: Annotated[
        float, typer.Option(min=0, help="The most that a round may cost, judges included; 0: no limit.")
    ] = 1.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Cases under way at once.")] = 4,
    judge: Annotated[
        str | None, typer.Option(help="Model that judges where a grader names none; default: the incumbent.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="File of answers and grades, appended to; default: beside the suite.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the results as a recording, for `evaluate` and `tune`.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="Repeat after this time, such as 6h; ends with Ctrl-C.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask again what was answered before.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the order of the cases.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run the models of the pool on your own cases, grade the answers, and learn from them.

    Calls cost money; what was answered before is not asked again. With `--every`, configuration and cases are read
    anew each time: a model or a case that was added is run by itself.
    """
    pause_s = None if every is None else seconds(every)
    once = partial(
        _round,
        suite,
        config,
        models=None if models is None else _names(models),
        budget_usd=budget_usd or None,
        concurrency=concurrency,
        results=results or suite.with_name(f"{suite.stem}.results.jsonl"),
        output=output,
        judge=judge,
        refresh=refresh,
        seed=seed,
    )
    said: Callable[[CalibrationReport], None] = (lambda report: emit_json(report.to_dict())) if as_json else show
    try:
        well = asyncio.run(_repeated(once, said, pause_s))
    except asyncio.CancelledError:  # by the second signal; what was answered is kept
        well = False
    if not well:
        raise typer.Exit(FAILED_RUN)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ConfigurationError(f"--models {text!r}: it names no model; leave it out for the whole pool")
    return names


def seconds(text: str) -> float:
    """Read a time such as `90s`, `30m`, `6h` or `1d`.

    Raises:
        ConfigurationError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None or not float(found[1]):
        raise ConfigurationError(f"--every {text!r}: it must be a time such as 90s, 30m, 6h or 1d")
    return float(found[1]) * _SECONDS[found[2]]


async def _repeated(
    once: Callable[[asyncio.Event], Any], said: Callable[[CalibrationReport], None], pause_s: float | None
) -> bool:
    """Run rounds until a signal comes; tell whether all is well."""
    stop = asyncio.Event()
    with _ended_by_signals(stop):
        while True:
            well = True
            try:
                report = await once(stop)
                said(report)
                well = report.stopped != "interrupted" and bool(report.asked + report.known + report.regraded)
            except (TaskRouterError, OSError) as error:
                if pause_s is None:
                    raise
                err.print(f"taskrouter: {error}; next try in {pause_s:g} s", style="red", markup=False, soft_wrap=True)
            if pause_s is None:
                return well
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
            if stop.is_set():
                return True


@contextmanager
def _ended_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """Let the first signal end the work after what is under way; the second one ends it at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def end() -> None:
        if stop.is_set() and task is not None:
            task.cancel()
        stop.set()
        err.print("ending after what is under way; once more to end at once", style="dim")

    handled = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # not on Windows, not beside the main thread
            loop.add_signal_handler(number, end)
            handled.append(number)
    try:
        yield
    finally:
        for number in handled:
            loop.remove_signal_handler(number)


async def _round(suite: Path, config: Path | None, stop: asyncio.Event, **options: Any) -> CalibrationReport:
    router = build_router(*load_config(config))
    async with router:
        with _bar() as told:
            return await calibrate(router, suite, stop=stop, progress=told, **options)


@contextmanager
def _bar() -> Iterator[Callable[[Standing], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[spent]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("calibrating", total=None, spent="")

        def told(at: Standing) -> None:
            failed = f", {at.failed} failed" if at.failed else ""
            bar.update(task, total=at.pairs, completed=at.done, spent=f"{usd(at.cost_usd)}{failed}")

        yield told
