"""Build the bundled catalogue: facts about chat models from two packages that ship them offline.

    python -m training.catalogue [--as-of 2026-11-20]

Inputs are the installed packages: LiteLLM's price map, read as a file (LiteLLM itself is never imported), and
`genai-prices`. Both are MIT; only facts are taken, and the data file names them with their versions.

Rules, in order:
- A missing field is unknown. So is a price pair of 0/0: a free tier, a licence or a placeholder, never a price.
- A fact in LiteLLM's map holds for the exact string it is keyed by. genai-prices matches patterns, so a regional tariff
  or an alias falls onto its base model there. Where the two disagree by more than 5 %, LiteLLM's figure is kept and the
  disagreement is printed; where LiteLLM has no price, genai-prices fills it in.
- Models that only genai-prices knows are added under their LiteLLM string.
"""

from __future__ import annotations

import argparse
import datetime as dt
import gzip
import importlib.metadata
import importlib.util
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parents[1] / "packages/core/src/taskrouter/catalog/data/models.json.gz"

CAPABILITIES = (
    "supports_function_calling",
    "supports_vision",
    "supports_response_schema",
    "supports_reasoning",
)
"""LiteLLM's flags in the order of `Capabilities`: tools, vision, json_schema, reasoning."""

GENAI_PROVIDERS = {
    "anthropic": ("anthropic", ""), "azure": ("azure", "azure/"), "bedrock": ("aws", "bedrock/"),
    "cerebras": ("cerebras", "cerebras/"), "cohere_chat": ("cohere", ""), "deepseek": ("deepseek", "deepseek/"),
    "gemini": ("google", "gemini/"), "groq": ("groq", "groq/"), "mistral": ("mistral", "mistral/"),
    "moonshot": ("moonshotai", "moonshot/"), "openai": ("openai", ""), "openrouter": ("openrouter", "openrouter/"),
    "perplexity": ("perplexity", "perplexity/"), "together_ai": ("together", "together_ai/"),
    "xai": ("x-ai", "xai/"), "zai": ("zai", "zai/"),
}  # fmt: skip
"""LiteLLM provider -> (provider of genai-prices, prefix of its LiteLLM strings)."""

NOT_CHAT = re.compile(
    r"embed|rerank|moderation|whisper|transcri|\btts\b|-tts|dall-e|imagen|image|audio|realtime|live|speech|voxtral"
    r"|ocr|sora|veo|nano-banana|omni|robotics|^ft:|:batch|computer-use|davinci|babbage|-instruct-0914",
)
"""Names of genai-prices (which has no modes) that are not chat models, or are a tariff rather than a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Facts about one LiteLLM string. Prices are US dollars per million tokens; None is unknown."""

    provider: str
    input_usd: float | None = None
    output_usd: float | None = None
    cached_usd: float | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: str = "????"
    """One of `y`, `n`, `?` per flag of `CAPABILITIES`."""
    source: int = 0
    """Index into the header's sources: where the price, or else the row, comes from."""


def main() -> None:
    """Build the data file and print what was decided."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as-of", type=dt.date.fromisoformat, default=dt.datetime.now(dt.UTC).date())
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    content, summary = build(options.as_of)
    options.output.write_bytes(content)
    print("\n".join(summary))
    print(f"{options.output.name}: {len(content):,} bytes")


def build(as_of: dt.date) -> tuple[bytes, list[str]]:
    """Return the data file, the same bytes for the same inputs, and a summary for people."""
    rows = dict(_litellm_rows())
    prices = _GenaiPrices(as_of)
    summary = [f"{len(rows)} chat models from LiteLLM"]
    conflicts = prices.fill_in(rows)
    added = {string: row for string, row in prices.rows() if string not in rows}
    rows |= added
    summary += [f"{len(added)} more from genai-prices", f"{len(conflicts)} prices differ by more than 5 %:", *conflicts]
    document = {
        "licence": "Facts only; both sources are MIT-licensed.",
        "sources": [f"{name} {importlib.metadata.version(name)}" for name in ("litellm", "genai-prices")],
        "as_of": as_of.isoformat(),
        "columns": "provider, input, output, cached input (USD per million), context, max output (tokens), "
        "tools/vision/json_schema/reasoning (y, n, ?), source",
        "models": {string: _columns(rows[string]) for string in sorted(rows)},
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=True)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0), summary


def _columns(row: Row) -> list[Any]:
    return [
        row.provider, _plain(row.input_usd), _plain(row.output_usd), _plain(row.cached_usd),
        row.context_tokens, row.max_output_tokens, row.capabilities, row.source,
    ]  # fmt: skip


def _plain(value: float | None) -> float | int | None:
    """Six significant digits: prices per token times a million carry rounding noise."""
    if value is None:
        return None
    rounded = float(f"{value:.6g}")
    return int(rounded) if rounded.is_integer() else rounded


def _litellm_rows() -> Iterator[tuple[str, Row]]:
    spec = importlib.util.find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("litellm is not installed: pip install 'litellm>=1.84,<2'")
    path = Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json"
    for string, facts in json.loads(path.read_text(encoding="utf-8")).items():
        if _is_chat(string, facts):
            yield string, _litellm_row(facts)


def _is_chat(string: str, facts: Mapping[str, Any]) -> bool:
    outputs = facts.get("supported_output_modalities")
    return (
        facts.get("mode") in {"chat", "responses"}
        and "*" not in string
        and "-commitment/" not in string
        and (not outputs or "text" in outputs)
    )


def _litellm_row(facts: Mapping[str, Any]) -> Row:
    inputs, outputs = facts.get("input_cost_per_token"), facts.get("output_cost_per_token")
    priced = bool(inputs or outputs)
    cached = facts.get("cache_read_input_token_cost")
    return Row(
        provider=_provider(facts["litellm_provider"]),
        input_usd=_per_million(inputs) if priced else None,
        output_usd=_per_million(outputs) if priced else None,
        cached_usd=_per_million(cached) if priced and cached else None,
        context_tokens=_tokens(
            facts.get("max_input_tokens")
        ),  # not `max_tokens`: sometimes the input, sometimes the output
        max_output_tokens=_tokens(facts.get("max_output_tokens")),
        capabilities="".join(_flag(facts.get(flag)) for flag in CAPABILITIES),
    )


def _provider(name: str) -> str:
    return name.split("-", 1)[0] if name.startswith("vertex_ai-") else name.replace("bedrock_converse", "bedrock")


def _flag(value: object) -> str:
    return "?" if not isinstance(value, bool) else "y" if value else "n"


def _per_million(per_token: object) -> float | None:
    return float(per_token) * 1e6 if isinstance(per_token, int | float) else None


def _tokens(value: object) -> int | None:
    """Some entries carry numbers as text, or zero for unknown."""
    return int(value) if isinstance(value, int | float) and not math.isnan(value) and value > 0 else None


class _GenaiPrices:
    """The prices of genai-prices as they stand on a date (its off-peak tariffs left aside by asking at noon)."""

    def __init__(self, as_of: dt.date) -> None:
        from genai_prices.data_snapshot import get_snapshot

        self._when = dt.datetime.combine(as_of, dt.time(12), tzinfo=dt.UTC)
        self._providers: dict[str, Any] = {p.id: p for p in get_snapshot().providers}

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Yield every priced chat model under its LiteLLM string."""
        for provider, (theirs, prefix) in GENAI_PROVIDERS.items():
            for model in self._providers[theirs].models:
                row = self._row(provider, model)
                if row is not None and _is_listed(provider, model.id):
                    yield prefix + model.id, row

    def fill_in(self, rows: dict[str, Row]) -> list[str]:
        """Fill prices that are missing in `rows`; return the disagreements, one line each."""
        conflicts = []
        for string, row in rows.items():
            other = self._find(string, row.provider)
            if other is None:
                continue
            if row.output_usd is None and row.input_usd is None:
                rows[string] = replace(
                    row, input_usd=other.input_usd, output_usd=other.output_usd, cached_usd=other.cached_usd, source=1
                )
            elif _differ(row.input_usd, other.input_usd) or _differ(row.output_usd, other.output_usd):
                conflicts.append(
                    f"  {string}: {row.input_usd:g}/{row.output_usd or 0:g} kept, not "
                    f"{other.input_usd:g}/{other.output_usd:g}"
                )
        return conflicts

    def _find(self, string: str, provider: str) -> Row | None:
        if provider not in GENAI_PROVIDERS:
            return None
        theirs, prefix = GENAI_PROVIDERS[provider]
        model = self._providers[theirs].find_model(string.removeprefix(prefix).removeprefix(f"{provider}/"))
        return None if model is None else self._row(provider, model)

    def _row(self, provider: str, model: Any) -> Row | None:
        prices = model.get_prices(self._when)
        inputs, outputs = _base(prices.input_mtok), _base(prices.output_mtok)
        if not inputs or not outputs:
            return None
        return Row(
            provider=provider,
            input_usd=inputs,
            output_usd=outputs,
            cached_usd=_base(prices.cache_read_mtok),
            context_tokens=_tokens(model.context_window),
            source=1,
        )


def _is_listed(provider: str, name: str) -> bool:
    """Whether a name of genai-prices is one that users write, of a chat model of that provider."""
    if NOT_CHAT.search(name) or name.startswith(("~", "regional.")):
        return False
    return {"gemini": "claude" not in name, "openrouter": "/" in name}.get(provider, True)


def _base(price: Any) -> float | None:
    """The price of the lowest tier: most steps are far below the thresholds of long-context tariffs."""
    return None if price is None else float(getattr(price, "base", price))


def _differ(mine: float | None, theirs: float | None) -> bool:
    return mine is not None and theirs is not None and abs(mine - theirs) > 0.05 * max(mine, theirs)


if __name__ == "__main__":
    main()
