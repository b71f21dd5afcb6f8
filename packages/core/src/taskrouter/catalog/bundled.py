"""The catalogue that ships with the package: facts about a few thousand chat models, found by their LiteLLM string.

`Catalog.bundled().resolve("gpt-4o-mini")` gives a `ModelCard`. The data file is read when the first model is asked for;
`training/catalogue.py` builds it.
"""

from __future__ import annotations

import difflib
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib.resources import files
from typing import Any, Final, NamedTuple, TypeVar

from taskrouter.catalog.card import Capabilities, ModelCard
from taskrouter.catalog.names import ModelName, parse
from taskrouter.catalog.priors import cited_quality
from taskrouter.catalog.tiers import tier_of

T = TypeVar("T")

_SAME_PROVIDER: Final = {
    "cohere": "cohere_chat",
    "google": "gemini",
    "amazon": "bedrock",
    "together": "together_ai",
    "fireworks": "fireworks_ai",
    "x-ai": "xai",
}
"""Other prefixes that people write for a provider of LiteLLM."""

_FLAGS: Final = {"y": True, "n": False}


class Facts(NamedTuple):
    """One row of the data file. Prices are US dollars per million tokens; None is unknown."""

    provider: str | None
    input_usd: float | None
    output_usd: float | None
    cached_usd: float | None
    context_tokens: int | None
    max_output_tokens: int | None
    capabilities: str
    """`y`, `n` or `?` for tools, vision, json_schema and reasoning."""
    source: int


class Catalog:
    """Known models by their LiteLLM string.

    A string is resolved by the first of these rules that finds something; the card's `source` names it:

    1. it is listed;
    2. it is listed but for the provider's prefix or for letter case: `openai/gpt-4o-mini`;
    3. its provider lists the same model in another spelling, or another revision of it: a date, `-latest`, `3_1` for
       `3.1`, `Meta-`, `-Instruct`, `@host` (see `taskrouter.catalog.names`); without a prefix, the maker's listing;
    4. only other hosts list the model: then prices and the provider's limits are unknown, and only facts on which all
       of them agree are taken over;
    5. nobody lists it, but figures about it are published: then only its quality is known.

    No rule crosses families, versions or sizes.
    """

    def __init__(
        self, rows: Mapping[str, Sequence[Any]], *, sources: Sequence[str] = ("user",), as_of: str | None = None
    ) -> None:
        self._rows = rows
        self.sources = tuple(sources)
        """What the facts come from, with versions."""
        self.as_of = as_of
        """Date of the facts, ISO 8601."""
        self._cards: dict[str, ModelCard | None] = {}

    @classmethod
    def bundled(cls) -> Catalog:
        """Return the catalogue that ships with the package, read once per process."""
        return _bundled()

    def resolve(self, model: str) -> ModelCard | None:
        """Return what is known of a model, or None where nothing is. Prices that are not known stay None."""
        if model not in self._cards:
            self._cards[model] = self._find(model)
        return self._cards[model]

    def suggest(self, model: str, n: int = 3) -> list[str]:
        """Return the known strings most like `model`, for error messages."""
        tail = model.lower().rsplit("/", 1)[-1]
        tails = defaultdict(list)
        for string in self._rows:
            tails[string.lower().rsplit("/", 1)[-1]].append(string)
        close = difflib.get_close_matches(tail, tails, n=n, cutoff=0.6)
        prefix = model.rpartition("/")[0].lower()
        return [min(tails[name], key=lambda s: (not s.lower().startswith(prefix), len(s), s)) for name in close]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __contains__(self, model: object) -> bool:
        return isinstance(model, str) and self.resolve(model) is not None

    def _find(self, model: str) -> ModelCard | None:
        if model in self._rows:
            return self._card(model, model, rule=None)
        if (listed := self._listed_otherwise(model)) is not None:
            return self._card(model, listed, rule=f"listed as {listed!r}")
        name, provider = parse(model), self._provider_of(model)
        same_model = [s for s in self._by_stem.get(name.stem, []) if name.may_be(parse(s).revision)]
        if (listed := self._at_provider(name, provider or name.maker, same_model)) is not None:
            return self._card(model, listed, rule=f"listed as {listed!r}")
        if same_model:
            return self._elsewhere(model, provider, same_model)
        return self._published_only(model, name, provider)

    def _listed_otherwise(self, model: str) -> str | None:
        """Find a listing that differs by the provider's prefix or by letter case."""
        provider, _, rest = model.partition("/")
        provider = _SAME_PROVIDER.get(provider, provider)
        for string in (rest, f"{provider}/{rest}", self._by_lower_case.get(model.lower(), "")):
            if string in self._rows and (string.lower() == model.lower() or self._rows[string][0] == provider):
                return string
        return None

    def _at_provider(self, name: ModelName, provider: str | None, strings: Sequence[str]) -> str | None:
        """Pick the provider's listing of a model: same revision, else undated, else the newest."""
        found = [s for s in strings if self._rows[s][0] == provider and parse(s).labels == name.labels]
        same = [s for s in found if name.revision and name.is_revision(parse(s).revision)]
        undated = [s for s in found if parse(s).revision is None]
        for choice in (same, undated):
            if choice:
                return min(choice, key=lambda s: (len(s), s))
        return max(found, key=lambda s: (parse(s).revision or "", -len(s), s), default=None)

    def _provider_of(self, model: str) -> str | None:
        prefix = model.partition("/")[0].lower() if "/" in model else ""
        prefix = _SAME_PROVIDER.get(prefix, prefix)
        return prefix if prefix in self._providers else None

    def _elsewhere(self, model: str, provider: str | None, strings: Sequence[str]) -> ModelCard:
        listings = [Facts(*self._rows[s]) for s in strings]
        flags = (_agreed([row.capabilities[i] for row in listings if row.capabilities[i] != "?"]) for i in range(4))
        facts = Facts(
            provider=provider,
            input_usd=None,
            output_usd=None,
            cached_usd=None,
            context_tokens=_agreed([row.context_tokens for row in listings if row.context_tokens]),
            max_output_tokens=None,
            capabilities="".join(flag or "?" for flag in flags),
            source=listings[0].source,
        )
        card = self._build(model, facts, rule=f"listed only at other hosts, such as {min(strings, key=len)!r}")
        tiers = [tier for row in listings if (tier := tier_of(parse(model), row.output_usd))]
        return card.model_copy(update={"tier": card.tier or _agreed(tiers)})

    def _published_only(self, model: str, name: ModelName, provider: str | None) -> ModelCard | None:
        if not (quality := cited_quality(model)):
            return None
        return ModelCard(
            id=model,
            model=model,
            provider=provider,
            family=name.family,
            tier=tier_of(name, None),
            quality=quality,
            source="published figures only: no price or limit is known",
        )

    def _card(self, model: str, listed: str, *, rule: str | None) -> ModelCard:
        return self._build(model, Facts(*self._rows[listed]), rule=rule)

    def _build(self, model: str, facts: Facts, *, rule: str | None) -> ModelCard:
        name = parse(model)
        tools, vision, json_schema, reasoning = (_FLAGS.get(flag) for flag in facts.capabilities)
        source = self.sources[facts.source]
        return ModelCard(
            id=model,
            model=model,
            provider=facts.provider,
            family=name.family,
            tier=tier_of(name, facts.output_usd),
            input_usd_per_million=facts.input_usd,
            output_usd_per_million=facts.output_usd,
            cached_input_usd_per_million=facts.cached_usd,
            context_tokens=facts.context_tokens,
            max_output_tokens=facts.max_output_tokens,
            capabilities=Capabilities(tools=tools, vision=vision, json_schema=json_schema, reasoning=reasoning),
            quality=cited_quality(model),
            source=f"{source} ({rule})" if rule else source,
            as_of=self.as_of,
        )

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        index = defaultdict(list)
        for string in self._rows:
            index[parse(string).stem].append(string)
        return dict(index)

    @cached_property
    def _by_lower_case(self) -> dict[str, str]:
        return {string.lower(): string for string in self._rows}

    @cached_property
    def _providers(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._rows.values())


def _agreed(values: Sequence[T]) -> T | None:
    return values[0] if len(set(values)) == 1 else None


@cache
def _bundled() -> Catalog:
    packed = files("taskrouter.catalog").joinpath("data/models.json.gz").read_bytes()
    document = json.loads(gzip.decompress(packed))
    return Catalog(document["models"], sources=document["sources"], as_of=document["as_of"])
