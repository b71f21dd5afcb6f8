"""Small parts to build budgets from: purses over a ledger, wallets, attempts with a price."""

from __future__ import annotations

from collections.abc import Sequence

from taskrouter import Attempt, ModelCard, Router, Step, StepContext, Usage
from taskrouter.budget.ledger import Ledger
from taskrouter.budget.purse import NANO, QUANTITIES, Need, Purse
from taskrouter.budget.wallet import Reservation, StepWallet
from taskrouter.config import Limits

HELLO = [{"role": "user", "content": "Hello"}]


def need(model: str) -> Need:
    """Read a need off a model's name: `nano-dollars/tokens`, or `?/tokens` where the price is unknown."""
    usd, tokens = model.split("/")
    return Need(None if usd == "?" else int(usd), int(tokens), 1)


def purse(ledger: Ledger, key: str = "p", *, nano: int | None = None, **limits: int) -> Purse:
    """A purse with a limit in nano-dollars, tokens or steps."""
    given: dict[str, float] = dict(limits)
    if nano is not None:
        given["usd"] = nano / NANO
    return Purse(key, key, Limits.model_validate(given) if given else None, ledger, counts=QUANTITIES)


def wallet(*purses: Purse, wait_s: float = 0.0) -> StepWallet:
    return StepWallet(purses, need, wait_s=wait_s)


def attempt(nano: int | None = 0, tokens: int = 0) -> Attempt:
    """An attempt that has cost so much."""
    return Attempt(
        index=1,
        model="m",
        role="primary",
        status="ok",
        usage=Usage(input_tokens=tokens),
        cost_usd=None if nano is None else nano / NANO,
    )


def reserved(wallet: StepWallet, model: str) -> Reservation:
    reservation = wallet.reserve(model)
    assert isinstance(reservation, Reservation), reservation
    return reservation


def held(purses: Sequence[Purse]) -> list[int]:
    """What is held in every account of some purses."""
    return [purse.used(quantity)[1] for purse in purses for quantity in QUANTITIES]


def card(name: str, price: float | None = 1.0, **fields: object) -> ModelCard:
    data: dict[str, object] = {"id": name, "model": f"house/{name}", "context_tokens": 100_000, **fields}
    if price is not None:
        data |= {"input_usd_per_million": price, "output_usd_per_million": price}
    return ModelCard.model_validate(data)


def router(*cards: ModelCard, **config: object) -> Router:
    """A router whose first model is the incumbent; its calls are the test's own functions."""
    models = cards or (card("m"),)
    return Router(models, models[0].id, config={"execution": {"retries": 0}, **config})


def step(**context: str) -> Step:
    """A step that may use 2 tokens of input and 8 of output at most: a millionth of a dollar each at a price of 1."""
    return Step(messages=HELLO, context=StepContext(**context), payload={"max_tokens": 8})  # type: ignore[arg-type]


def answer(tokens_in: int = 1, tokens_out: int = 3) -> dict[str, object]:
    """A chat completion with its usage: by default 4 tokens, which cost $0.000004 at a price of 1."""
    usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}
    message = {"role": "assistant", "content": "Hi"}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
