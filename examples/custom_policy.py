"""A policy of your own: the fastest model whose expected quality is good enough. Decides only; nothing is sent.

python examples/custom_policy.py
"""

from __future__ import annotations

from typing import Any

from taskrouter import Router, Step, hookimpl
from taskrouter.config import PolicyConfig
from taskrouter.ports import Choice, SelectorFactory, Slate

HOUSE: list[dict[str, Any]] = [
    {
        "id": name,
        "base_url": "http://127.0.0.1:8000/v1",
        "first_token_s": first_token_s,
        "output_tokens_per_s": tokens_per_s,
        "quality": {"general": {"mean": mean, "source": "our own tests"}},
    }
    for name, first_token_s, tokens_per_s, mean in [("slow", 0.8, 40, 0.92), ("quick", 0.2, 150, 0.86)]
]


class Fastest:
    """The fastest model above `quality_floor`, which the policy's configuration already has."""

    name = "fastest"

    def __init__(self, config: PolicyConfig) -> None:
        self._floor = config.quality_floor

    def choose(self, slate: Slate) -> Choice:
        """Score by expected seconds; what is too weak, or of unknown speed, ranks below the rest."""
        latencies = [card.latency_s(slate.profile.output_tokens) for card in slate.cards]
        scores = [
            -1e6 if latency is None or quality.mean < self._floor else -latency
            for latency, quality in zip(latencies, slate.quality, strict=True)
        ]
        return Choice(scores, "fastest_above_floor", f"it answers first of those with a quality of {self._floor:g}")


class Plugin:
    @hookimpl
    def taskrouter_selectors(self) -> dict[str, SelectorFactory]:
        return {Fastest.name: Fastest}


def main() -> None:
    router = Router(HOUSE, incumbent="slow", policy={"name": "fastest", "quality_floor": 0.8}, plugins=[Plugin()])
    step = Step(messages=[{"role": "user", "content": "Summarize this thread in two sentences: ..."}])
    print(router.route(step).explain())
    assert router.route(step).model == "quick"


if __name__ == "__main__":
    main()
