"""What a text says about a named value: dates, addresses, numbers, places and whatever stands behind a label."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from taskrouter.simulator.arithmetic import expression_in

_NUMBER = re.compile(r"(?<![\w.\-/])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w-]|[./]\d)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_CAPITALISED = r"[A-ZÀ-Þ][\w'’-]*(?:\s+[A-ZÀ-Þ][\w'’-]*)*"
_EMAIL = r"([\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+)"
_URL = r"(https?://[^\s\"'<>)\]]+[^\s\"'<>)\].,;])"
_DATE = r"(\d{4}-\d{2}-\d{2})"

_EXACT: tuple[tuple[str, str], ...] = (
    (r"mail", _EMAIL),
    (r"url|uri|link|website", _URL),
    (r"date|day|deadline|due|when", _DATE),
    (r"time|hour", r"\b(\d{1,2}:\d{2}(?::\d{2})?)\b"),
    (r"phone|telephone|mobile", r"(\+?\d[\d ()-]{6,20}\d)"),
    (r"path|file", r"((?:[\w.-]{0,64}/)+[\w.-]{1,64}|\b[\w-]{1,64}\.[a-z]{2,4}\b)"),
    (r"currency", r"\b(USD|EUR|GBP|CHF|JPY|CNY|INR)\b"),
    (r"\bid\b|number|code|key|sku|ticket|order|invoice|reference", r"\b([A-Z]{1,6}-?\d{2,}[\w-]*)\b"),
)
"""Names of values and the shape that such a value has in any text."""

_LOOSE: tuple[tuple[str, str], ...] = (
    (r"city|location|place|country|destination|origin|region", rf"\b(?:in|at|to|from|for|near)\s+({_CAPITALISED})"),
    (r"name|person|customer|author|user|who|owner|assignee", rf"\b({_CAPITALISED.replace('*)*', '*)+')})"),
)
"""Names of values and a shape that such a value often has: a label says more."""

_ASKS = re.compile(r"query|question|search|keyword|topic|text|input|prompt|request|subject|term", re.IGNORECASE)
_FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)
_NEGATION = re.compile(r"\b(?:not|no|never|without|isn't|aren't|false|non)\b[\s\w-]{0,12}$", re.IGNORECASE)


class Evidence:
    """A text, asked for values by name."""

    def __init__(self, text: str) -> None:
        self.text = text[:20_000]

    def labelled(self, name: str) -> str | None:
        """Return what stands behind the name: `name: value`, `name = value`, `name is value`."""
        label = r"[\s_-]*".join(map(re.escape, words(name)))
        if not label:
            return None
        pattern = rf"\b{label}\b[\"'`]?\s*(?::|=|\bis\b|\bare\b|\bcalled\b)\s*(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\n,;]+))"
        match = re.search(pattern, self.text, re.IGNORECASE)
        if match is None:
            return None
        quoted = match.group(1) or match.group(2)
        if quoted:
            return quoted
        value = re.split(r"[.!?](?:\s|$)|\s(?:and|but|who|which|with)\s", match.group(3))[0]
        return value.strip(" .!?\"'`*[]{}") or None

    def shaped(self, name: str) -> Iterator[str]:
        """Yield values whose shape fits the name: addresses for `email`, places for `city`."""
        yield from self._of_shape(name, _EXACT)
        yield from self._of_shape(name, _LOOSE)

    def _of_shape(self, name: str, shapes: Sequence[tuple[str, str]]) -> Iterator[str]:
        plain = " ".join(words(name))
        for names, shape in shapes:
            if re.search(names, plain, re.IGNORECASE):
                yield from dict.fromkeys(re.findall(shape, self.text))

    def strings(self, name: str) -> Iterator[str]:
        """Yield texts for a named value, the most telling first."""
        plain = " ".join(words(name))
        if re.search(r"expression|formula|equation|calculation", plain):
            yield from filter(None, [expression_in(self.text)])
        if re.search(r"code|script|source|program", plain):
            yield from (block.strip() for block in _FENCED.findall(self.text))
        yield from self._of_shape(name, _EXACT)
        if label := self.labelled(name):
            yield label
        yield from self._of_shape(name, _LOOSE)
        yield from re.findall(r"[\"“]([^\"”\n]{1,80})[\"”]", self.text) if not _ASKS.search(plain) else ()
        yield self.request()

    def request(self) -> str:
        """Return the question of the text, or its first sentence, without the final mark."""
        parts = sentences(self.text)
        asked = [part for part in parts if part.endswith("?")]
        best = (asked or parts or [self.text])[0]
        return best.strip(' .?!\n"')[:160]

    def numbers(self, name: str) -> list[float]:
        """Return the numbers of the text, those nearest behind the name first."""
        found = [(match.start(), float(match.group(0).replace(",", ""))) for match in _NUMBER.finditer(self.text)]
        places = [m.end() for word in words(name) for m in re.finditer(rf"\b{word}s?\b", self.text, re.IGNORECASE)]

        def distance(item: tuple[int, float]) -> float:
            gaps = [item[0] - place if item[0] >= place else 1.5 * (place - item[0]) + 5 for place in places]
            return min(gaps, default=0)

        return [value for _, value in sorted(found, key=distance)]

    def names(self, name: str) -> bool:
        """Tell whether the text uses a word of the name."""
        return any(re.search(rf"\b{word}", self.text, re.IGNORECASE) for word in words(name))

    def flag(self, name: str) -> bool | None:
        """Tell whether the text affirms or denies the named thing; None when it is silent."""
        label = self.labelled(name)
        if label and (match := re.match(r"(true|yes|on|false|no|off)\b", label, re.IGNORECASE)):
            return match.group(1).lower() in {"true", "yes", "on"}
        for word in words(name):
            if len(word) > 3 and (match := re.search(rf"\b{word}", self.text, re.IGNORECASE)):
                return _NEGATION.search(self.text[max(0, match.start() - 20) : match.start()]) is None
        return None

    def mentioned(self, options: Sequence[object]) -> list[object]:
        """Return the options that occur in the text, in the order in which they do."""
        places: list[tuple[int, int]] = []
        for index, option in enumerate(options):
            wanted = r"[\s_-]*".join(map(re.escape, re.split(r"[\s_-]+", str(option))))
            match = re.search(rf"(?<!\w){wanted}(?!\w)", self.text, re.IGNORECASE) if wanted else None
            if match:
                places.append((match.start(), index))
        return [options[index] for _, index in sorted(places)]

    def listed(self, name: str) -> list[str]:
        """Return the items of a list that stands behind the name, or of a bulleted list."""
        label = r"[\s_-]*".join(map(re.escape, words(name)))
        match = re.search(rf"\b{label}\b[^\n:]{{0,20}}:\s*([^\n]+)", self.text, re.IGNORECASE) if label else None
        if match:
            line = match.group(1).strip(" .[]")
            return [part for item in re.split(r",|;|\band\b", line) if (part := item.strip(" .\"'[]"))]
        return re.findall(r"(?m)^\s*(?:[-*•]|\d+[.)])\s+(.+?)\s*$", self.text)


def words(name: str) -> list[str]:
    """Split a name into lower-case words: `totalAmount_usd` gives total, amount, usd."""
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())


def sentences(text: str) -> list[str]:
    """Split a text into sentences; a line's end is a sentence's end."""
    parts = (part.strip() for part in _SENTENCE_END.split(text))
    return [part for part in parts if any(char.isalnum() for char in part)]


def readable(text: str) -> str:
    """Rewrite a JSON document as `name: value` lines, so that the text skills can use it."""
    try:
        data = json.loads(text)
    except ValueError:
        return text
    return "\n".join(_lines(data)) if isinstance(data, dict | list) else text


def _lines(data: object, name: str = "") -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _lines(value, str(key))
    elif isinstance(data, list):
        for item in data:
            yield from _lines(item, name)
    elif name in {"", "text", "content", "snippet", "result", "answer", "output"}:
        yield str(data)
    else:
        yield f"{name}: {data}"
