"""What every stand-in answers with, and what it remembers from request to request."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, or the events of a stream."""

    document: Mapping[str, Any] | None = None
    events: Sequence[str] = ()
    opening: int = 1
    """How many events come before the first word."""


def pieces(text: str) -> list[str]:
    """Return a text as it is streamed: word by word."""
    return re.findall(r"\s*\S+\s*?(?=\s|$)|\s+$", text)


def data_events(chunks: Iterable[Mapping[str, Any]], *, named: bool = False) -> list[str]:
    """Return server-sent events, named after the type of each where the vendor does so."""
    return [
        (f"event: {chunk['type']}\n" if named else "") + f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"
        for chunk in chunks
    ]


class Memory:
    """Signatures that were given out, prompts that were seen, and names that are taken."""

    def __init__(self) -> None:
        self._signed: set[tuple[str, str]] = set()
        self._trusted: set[str] = set()
        self._prompts: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)

    def name(self, prefix: str) -> str:
        """Return a name that was not given before."""
        return f"{prefix}{next(self._numbers):06d}"

    def sign(self, model: str, thought: str) -> str:
        """Return a model's signature of a thought."""
        signature = base64.b64encode(hashlib.sha256(f"{model}\n{thought}".encode()).digest()).decode()
        return self.remember(model, signature)

    def remember(self, model: str, signature: str) -> str:
        """Take a signature, or the id of a thought, for the model's own."""
        self._signed.add((model, signature))
        return signature

    def trust(self, signature: str) -> None:
        """Take a signature for every model's own."""
        self._trusted.add(signature)

    def signed(self, model: str, signature: Any) -> bool:
        """Whether the model gave out this signature."""
        return signature in self._trusted or (model, signature) in self._signed

    def seen(self, model: str, prompt: Any) -> bool:
        """Whether the model has read this prompt before; from now on it has."""
        key = (model, json.dumps(prompt, sort_keys=True))
        if key in self._prompts:
            return True
        self._prompts.add(key)
        return False


def size(prompt: Any) -> int:
    """Return how many tokens a prompt has: four characters of its JSON are one."""
    return max(1, len(json.dumps(prompt)) // 4)
