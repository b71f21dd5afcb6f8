"""Which models have served a conversation, and how much of its prompt their providers still have cached."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from taskrouter.catalog.card import ModelCard
from taskrouter.outcome import Usage
from taskrouter.step import Message, Step, StepView, clip

SMALLEST_TOKENS: Final = 1024
"""Shorter prompts are not cached: OpenAI caches from 1,024 tokens on, Anthropic from 1,024 on most of its models and
from 2,048 or 4,096 on the others (both in their guides "Prompt caching")."""
LIFETIME_S: Final = 300.0
"""How long a prefix is expected to stay cached where the card does not say."""

_CHARS_PER_TOKEN: Final = 4
_TOKENS_PER_IMAGE: Final = 1000
_SMALLEST_CHARS: Final = SMALLEST_TOKENS * _CHARS_PER_TOKEN
_HEAD, _TAIL = 600, 300
"""Characters of a long text that are hashed, with its length: enough to tell conversations apart in microseconds."""
_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})

_Key: TypeAlias = tuple[str | None, str | None, bytes]
"""Tenant, session, and a digest of the tools, the answer's schema and the first messages."""


@dataclass(slots=True)
class _Served:
    """The last call of a conversation to one model."""

    at_s: float
    turns: int
    last: bytes
    """Digest of the message that ended the prompt."""
    tokens: int
    """Size of the prompt in our estimate, or as counted if that is smaller."""
    counted: int
    """Size of the prompt as the provider counted it, or our estimate."""
    share: float
    """The part of the expected prefix that the provider said it has read from its cache; 0: it does not cache."""
    promised: bool = False
    """Whether a prefix was expected at the last decision."""


class PrefixMemory:
    """Remembers who served a conversation, and expects the prompt it sent to be cached there for a while.

    Providers keep a prefix for some minutes after its last use: OpenAI for 5 to 10 minutes without use (guide "Prompt
    caching"), Anthropic for 5 minutes, refreshed by each use, or an hour on request (guide "Prompt caching"). So a
    prefix lives for the card's `cache_ttl_s`, else for 300 s, and each call starts that time anew. Only models whose
    card has a price for cached input are expected to cache.

    A conversation is known by a digest of its first messages (up to the first of the user), its tools and the schema
    of its answer, within its tenant and session; what it ended with at the last call must still stand at the same
    place. No text is kept. Of long texts, head, tail and length are hashed; a change in between goes unseen until the
    provider reports it.

    The provider is believed: where it read less from its cache than the known prefix, the next expectation is scaled
    to that, and where it read nothing although a prefix was expected, none is expected any more of this model in this
    conversation, until it reports one.

    The memory holds the `capacity` conversations used last and may be shared by threads; a capacity of 0 turns it off.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._known: OrderedDict[_Key, dict[str, _Served]] = OrderedDict()
        self.renew_lock()
        _alive.add(self)

    def renew_lock(self) -> None:
        """Take a new lock: in the child of a fork the old one may be held by a thread that is not there."""
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of known conversations."""
        return len(self._known)

    def note(self, step: Step, model: str, usage: Usage | None, now_s: float) -> None:
        """Remember an answer.

        Args:
            step: the step that was answered.
            model: id of the model that answered.
            usage: tokens of that one call, not of failed ones before it; None where the provider did not say.
            now_s: time of the answer, seconds on the clock that `expected` is given too.
        """
        view = step.view
        if view.chars < _SMALLEST_CHARS or not self._capacity:
            return
        key = _key(step)
        last = _digest(step.messages[-1])
        tokens = counted = _estimate(view)
        reported = usage if usage is not None and not usage.estimated and usage.input_tokens else None
        if reported is not None:
            counted = reported.input_tokens
            tokens = min(tokens, counted)
        with self._lock:
            models = self._known.setdefault(key, {})
            self._known.move_to_end(key)
            before = models.get(model)
            share = 1.0 if before is None else _share(before, step, reported)
            models[model] = _Served(now_s, view.turns, last, tokens, counted, share)
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)

    def expected(self, step: Step, cards: Mapping[str, ModelCard], now_s: float) -> Mapping[str, int]:
        """Return how many tokens of a step's prompt each model is expected to read from its cache.

        Models without an expectation are left out, so in most cases the mapping is empty. The tokens are in our own
        estimate (four characters each), as are those of a profile; they are never more than the prompt has now.

        Args:
            step: the step to decide on.
            cards: the models that may be chosen, by id.
            now_s: the present, seconds.
        """
        view = step.view
        if view.chars < _SMALLEST_CHARS or not self._known:
            return _NOTHING
        key = _key(step)
        with self._lock:
            models = self._known.get(key)
            if models is None:
                return _NOTHING
            self._known.move_to_end(key)
            found: dict[str, int] = {}
            for model, served in models.items():
                card = cards.get(model)
                tokens = 0 if card is None else _expected(served, card, step, now_s)
                served.promised = tokens > 0
                if tokens:
                    found[model] = tokens
        return found or _NOTHING


_alive: weakref.WeakSet[PrefixMemory] = weakref.WeakSet()


def _in_child() -> None:
    for memory in list(_alive):
        memory.renew_lock()


with contextlib.suppress(AttributeError):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_in_child)


def _expected(served: _Served, card: ModelCard, step: Step, now_s: float) -> int:
    lifetime_s = LIFETIME_S if card.cache_ttl_s is None else card.cache_ttl_s
    if card.cached_input_usd_per_million is None or not 0 <= now_s - served.at_s < lifetime_s:
        return 0
    tokens = int(min(served.tokens, _estimate(step.view)) * served.share)
    return tokens if tokens >= SMALLEST_TOKENS and _continues(served, step) else 0


def _share(before: _Served, step: Step, reported: Usage | None) -> float:
    """Return which part of a prefix to expect from now on, after what the provider said of the one before."""
    if reported is None or not _continues(before, step):
        return before.share
    if reported.cached_input_tokens > 0:
        return min(1.0, reported.cached_input_tokens / before.counted)
    return 0.0 if before.promised else before.share


def _continues(served: _Served, step: Step) -> bool:
    """Whether the prompt of a call still stands at the beginning of a step's transcript."""
    messages = step.messages
    return served.turns <= len(messages) and _digest(messages[served.turns - 1]) == served.last


def _estimate(view: StepView) -> int:
    return view.chars // _CHARS_PER_TOKEN + view.images * _TOKENS_PER_IMAGE


def _key(step: Step) -> _Key:
    # Tools and the schema stand before the messages in what a provider caches: with others the prefix is another one.
    texts = [str(tool["function"]["name"]) for tool in step.tools]
    texts.extend(_texts(step.response_schema))
    for message in step.messages:
        texts.append(message["role"])
        texts.extend(_texts(message.get("content")))
        if message["role"] == "user":
            break
    context = step.context
    return context.tenant, context.session_id, _hash(texts)


def _digest(message: Message) -> bytes:
    return _hash([message["role"], *_texts(message.get("content")), *_texts(message.get("tool_calls"))])


def _texts(value: Any) -> Iterator[str]:
    """Yield what a part of a request says; not the marks that steer caching, which move along with a conversation."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        if isinstance(text := value.get("text"), str):
            yield text
            return
        for key, inner in value.items():
            if key != "cache_control":
                yield str(key)
                yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)


def _hash(texts: list[str]) -> bytes:
    extracts = "\0".join(f"{len(text)}\0{clip(text, _HEAD, _TAIL)}" for text in texts)
    return blake2b(extracts.encode("utf-8", "surrogatepass"), digest_size=16).digest()
