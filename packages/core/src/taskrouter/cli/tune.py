"""`taskrouter tune`: learns a policy from recordings, and says what can be promised of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from taskrouter.catalog import Catalog
from taskrouter.cli.output import JsonOption, emit_json, err, out
from taskrouter.config import RouterConfig
from taskrouter.evaluation.recordings import check_output, read_recordings
from taskrouter.evaluation.tuning import Tuning, tune
from taskrouter.learning.bounds import MOST, needed_n
from taskrouter.learning.files import write_policy
from taskrouter.pool import build_pool
from taskrouter.schemas import gathered_faults

REFUSED = 1
"""Exit code where nothing can be certified, so that scripts stop before they use it."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="tune")(_tune)


def _tune(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDINGS...", help="Recorded outcomes (.jsonl or .jsonl.gz).")
    ],
    max_loss: Annotated[
        float, typer.Option(help="Accepted harm: share of answers worse than the incumbent's, by their size.")
    ] = 0.01,
    confidence: Annotated[float, typer.Option(help="With which the harm is to be at most that.")] = 0.9,
    incumbent: Annotated[
        str | None, typer.Option(help="Model in use today; default: the configuration's, or the best one recorded.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Take the pool, its ids and prices from this configuration.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the certified policy there, for `learning.policy`.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the division into a part to learn from and one to test.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Learn which model each kind of step needs, and certify how much harm that does at most.

    One part of the recordings is learned from, the other tests. No model is called. Exit code 1: nothing certifiable.
    """
    recording = read_recordings(recordings)
    pool = None
    if config is not None:
        loaded = RouterConfig.load(config)
        pool = {card.id: card for card in build_pool(loaded.models, Catalog.bundled())}
        incumbent = incumbent or loaded.router.incumbent
    if output is not None:
        check_output(output, where="--output")
    with err.status("learning and testing ..."), gathered_faults():
        tuning = tune(recording, max_loss=max_loss, confidence=confidence, incumbent=incumbent, pool=pool, seed=seed)
    written = None
    if output is not None and tuning.policy is not None:
        write_policy(output, tuning.policy, tuning.certificate)
        written = output
    if as_json:
        emit_json(_document(tuning, written))
    else:
        for line in _lines(tuning, written, output):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    if tuning.policy is None:
        raise typer.Exit(REFUSED)


def _document(tuning: Tuning, written: Path | None) -> dict[str, Any]:
    verdict = tuning.verdict
    best = verdict.certified
    return {
        "certified": best is not None,
        "incumbent": tuning.incumbent,
        "max_loss": tuning.max_loss,
        "confidence": tuning.confidence,
        "method": tuning.method,
        "prompts": tuning.prompts,
        "learned_from": tuning.learned_from,
        "n": verdict.n,
        "harmed": None if best is None else best.harmed,
        "bound": None if best is None else best.bound,
        "saving": None if best is None else best.saving,
        "needed": verdict.needed,
        "tested": [
            {"harmed": one.harmed, "bound": one.bound, "saving": one.saving, "passed": one.bound <= tuning.max_loss}
            for one in verdict.tested
        ],
        "certificate": None if tuning.certificate is None else tuning.certificate.to_dict(),
        "output": None if written is None else str(written),
    }


def _lines(tuning: Tuning, written: Path | None, output: Path | None) -> list[str]:
    verdict = tuning.verdict
    promised = f"harm of at most {100 * tuning.max_loss:g} % at confidence {tuning.confidence:g}"
    lines = [
        f"{tuning.prompts:,} prompts: learned from {tuning.learned_from:,}, tested on {verdict.n:,}; "
        f"incumbent {tuning.incumbent}"
    ]
    best = verdict.certified
    if best is None:
        lines += [f"not certifiable at this n: {promised}", *_wanting(tuning)]
        lines.append("The incumbent keeps everything." + (f" {output} was not written." if output else ""))
        return lines
    lines += [
        f"certified: {promised}",
        f"  saving  {100 * best.saving:.0f} % of the incumbent's cost on the {best.n:,} tested prompts",
        f"  bound   {100 * best.bound:.2f} %",
        f"  harmed  {best.harmed:g} of n = {best.n:,}",
    ]
    for identity, branches in best.policy.branches.items():
        plans = ", ".join(
            f"{branch.plan}" + (f" ({100 * branch.share:.0f} %)" if branch.share < 1.0 else "") for branch in branches
        )
        lines.append(f"  {identity}: {plans}")
    if written:
        lines.append(f"Written to {written}. To use it: policy = {str(written)!r} in [learning].")
    else:
        lines.append("Nothing was written: name a file with --output.")
    return lines


def _wanting(tuning: Tuning) -> list[str]:
    """Say what stood in the way, and how many prompts would do."""
    verdict = tuning.verdict
    if not verdict.n:
        least = needed_n(tuning.max_loss, tuning.confidence, betting=tuning.method == "betting")
        if least is None or verdict.needed is None:
            return [f"  Even without any harm it takes more than {MOST:,} prompts."]
        return [f"  Without any harm it takes {least:,} tested prompts, so about {verdict.needed:,} in all."]
    failed = verdict.tested[-1] if verdict.tested else None
    if failed is None or failed.bound <= tuning.max_loss:
        return ["  No policy was found that costs less than the incumbent."]
    seen = (
        f"  The most cautious policy that would save more than a trifle harmed {failed.harmed:g} of {failed.n:,} "
        f"prompts: at most {100 * failed.bound:.2f} % can be promised."
    )
    if verdict.needed is None:
        return [seen, "  At that share of harm no number of prompts would do: accept more, or record better models."]
    return [seen, f"  At that share of harm about {verdict.needed:,} prompts in all would do."]
