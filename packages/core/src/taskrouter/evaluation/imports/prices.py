"""List prices of the models that public result files name, from the bundled catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from taskrouter.catalog import Catalog

HOSTS = ("together_ai", "fireworks_ai", "deepinfra", "groq", "openrouter", "bedrock", "nebius")
"""Who is asked for a price, in this order, where the maker of open weights lists none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs, US dollars per million tokens."""

    input_usd_per_million: float
    output_usd_per_million: float
    source: str

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Price of one call in US dollars."""
        return (input_tokens * self.input_usd_per_million + output_tokens * self.output_usd_per_million) / 1e6


class Prices:
    """Finds prices by the names that result files use: `gpt-4o-FC`, `meta-llama_Llama-3.1-8B-Instruct`, `x@host`.

    Args:
        catalog: where to look; by default the bundled catalogue.
        listed: prices that a repository itself lists; they come first.
    """

    def __init__(self, catalog: Catalog | None = None, listed: Mapping[str, Price] | None = None) -> None:
        self._catalog = catalog or Catalog.bundled()
        self._found: dict[str, Price | None] = dict(listed or {})

    def find(self, model: str) -> Price | None:
        """Return the price of a model, or None where nobody lists one."""
        if model not in self._found:
            self._found[model] = next(filter(None, map(self._listed, _spellings(model))), None)
        return self._found[model]

    def _listed(self, model: str) -> Price | None:
        card = self._catalog.resolve(model)
        if card is None or card.input_usd_per_million is None or card.output_usd_per_million is None:
            return None
        return Price(
            input_usd_per_million=card.input_usd_per_million,
            output_usd_per_million=card.output_usd_per_million,
            source=card.source,
        )


def _spellings(model: str) -> Iterator[str]:
    owner, _, rest = model.partition("_")  # a folder cannot be called meta-llama/...
    for name in dict.fromkeys((model, f"{owner}/{rest}" if rest else model, rest or model)):
        yield name
        yield from (f"{host}/{name.rsplit('/', 1)[-1]}" for host in HOSTS)
