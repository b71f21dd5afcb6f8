"""How model names are read: one model is spelt many ways, and two models often differ by one character.

A name is taken apart into a stem (line, version, size, variant: what makes two models different) and a revision (a date
or a numbered release of the same model). Spelling, hosts and training labels are dropped; nothing of the stem ever is,
so no rule here can turn one family, version or size into another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_BEDROCK_PREFIX: Final = re.compile(
    r"^(?:(?:us-gov|us|eu|apac|ap|au|jp|ca|sa|global)\.)?(?!deepseek\.[rv]\d)[a-z][a-z0-9]*\.(?=[a-z])"
)
"""`us.anthropic.` in `us.anthropic.claude-3-haiku-20240307-v1:0`; in `deepseek.r1` it is a part of the name."""
_BEDROCK_VERSION: Final = re.compile(r"-v[1-9]\d*:\d+(?::\w+)?$")
_RELEASE: Final = re.compile(r"[-_ ]v(0)[.:]?(\d)(?=$|[-_ :])")
"""`v0.3`, `v0:2`, `v01`: releases before a first version are revisions."""
_DECIMAL_P: Final = re.compile(r"(?<=\d)p(?=\d)")
"""Fireworks writes `3p1` for 3.1."""
_SIZE_POINT: Final = re.compile(r"(\d)[._](\d+b)(?![a-z0-9])")
_SEPARATORS: Final = re.compile(r"[\s._:-]+")
_LINE_VERSION: Final = re.compile(r"^([a-z]{3,})(\d.*)$")
"""`qwen2` is `qwen`, `2`; `o3`, `r1` and `a3b` stay whole."""
_SIZE: Final = re.compile(r"^(?:(\d+)x)?(\d+(?:,\d+)?)b$")

_YEAR_MONTH: Final = re.compile(r"2[3-9](?:0[1-9]|1[0-2])")
"""`2407`: July 2024."""
_MONTH_DAY: Final = re.compile(r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")
"""`0613`: the 13th of June."""
_NUMBERED: Final = re.compile(r"20\d{6}|00\d")
"""`20240806` or `002`."""

_LABELS: Final = frozenset({"instruct", "inst", "it", "hf", "fc", "any"})
"""Words that say how a model was tuned or asked, not which model it is."""
_SERVING: Final = frozenset({
    "turbo", "lite", "versatile", "instant", "fast", "free", "chat", "fp", "fp8", "fp16", "bf16", "awq",
})  # fmt: skip
"""Words by which hosts name their way of serving open weights; without a size in front they name other models."""
_PUBLISHERS: Final = frozenset({"meta", "c4ai", "anthropic", "openai", "mistralai", "nvidia", "google", "databricks"})
_UNDATED: Final = frozenset({"latest", "default"})

_LINES: Final[dict[str, tuple[str, bool]]] = {
    "aya": ("cohere_chat", False), "chatgpt": ("openai", False), "claude": ("anthropic", False),
    "codegemma": ("gemini", False), "codellama": ("meta_llama", False), "codestral": ("mistral", False),
    "command": ("cohere_chat", False), "deepseek": ("deepseek", False), "devstral": ("mistral", False),
    "gemini": ("gemini", False), "gemma": ("gemini", True), "glm": ("zai", True), "gpt": ("openai", True),
    "granite": ("watsonx", True), "grok": ("xai", True), "jamba": ("ai21", False), "kimi": ("moonshot", False),
    "llama": ("meta_llama", True), "magistral": ("mistral", False), "mathstral": ("mistral", False),
    "minimax": ("minimax", False), "ministral": ("mistral", False), "mistral": ("mistral", False),
    "mixtral": ("mistral", False), "nemotron": ("nvidia_nim", True), "nova": ("amazon_nova", False),
    "o1": ("openai", False), "o3": ("openai", False), "o4": ("openai", False), "phi": ("azure_ai", True),
    "pixtral": ("mistral", False), "qvq": ("dashscope", False), "qwen": ("dashscope", True),
    "qwq": ("dashscope", False), "sonar": ("perplexity", False),
}  # fmt: skip
"""Line of models -> (the provider that serves it first-hand, whether its generations count as families)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelName:
    """A model's name, taken apart."""

    stem: str
    """Line, version, size and variant in one spelling: `llama-3-1-70b`, `claude-sonnet-3-5`."""
    revision: str | None = None
    """A date (`20240806`, `0613`, `2407`) or release (`002`, `v0.3`) of the same model."""
    labels: frozenset[str] = frozenset()
    """What was dropped that a host may price: `turbo`, `fp8`, ..."""

    @property
    def billions(self) -> float | None:
        """Billions of parameters as the name gives them, all experts together."""
        for token in self.stem.split("-"):
            if match := _SIZE.match(token):
                return int(match[1] or 1) * float(match[2].replace(",", "."))
        return None

    @property
    def family(self) -> str | None:
        """Line of models, with its generation where generations differ much: `claude`, `llama-3`."""
        tokens = self.stem.split("-")
        line = tokens[0]
        if line not in _LINES:
            return None
        generation = tokens[1] if len(tokens) > 1 and re.match(r"\d+(?:o|$)", tokens[1]) else None
        return f"{line}-{generation}" if _LINES[line][1] and generation else line

    @property
    def maker(self) -> str | None:
        """The provider that serves this line first-hand."""
        known = _LINES.get(self.stem.split("-", 1)[0])
        return known[0] if known else None

    def is_revision(self, revision: str | None) -> bool:
        """Whether a revision is this one: `0620` is how some write `20240620`."""
        mine, theirs = self.revision or "", revision or ""
        return mine == theirs or (
            len(mine) >= 4 and len(theirs) >= 4 and (mine.endswith(theirs) or theirs.endswith(mine))
        )

    def may_be(self, revision: str | None) -> bool:
        """Whether facts about a revision may stand in for this one.

        Releases counted by year and month are models of their own (`mistral-large-2402`, `-2407`) and must agree; dates
        of a numbered model (`gpt-4o-2024-08-06`) are close enough where nothing better is known.
        """
        own_model = any(_YEAR_MONTH.fullmatch(r or "") for r in (self.revision, revision))
        return self.is_revision(revision) or not own_model


@lru_cache(maxsize=16_384)
def parse(model: str) -> ModelName:
    """Take a model string apart, whatever its provider's manner of writing it."""
    text, revision = _without_host(model.strip().lower().rsplit("/", 1)[-1])
    text = text.replace("gpt-35", "gpt-3.5")
    text = re.sub(r"^llama-v(?=\d)", "llama-", _DECIMAL_P.sub(".", text))
    if match := _RELEASE.search(text):
        revision, text = f"v0.{match[2]}", text[: match.start()] + text[match.end() :]
    text = _SIZE_POINT.sub(r"\1,\2", text.replace("_", "-") if "." in text else text)
    tokens = [t for t in _SEPARATORS.split(text.replace("_", "-")) if t]
    tokens = _without_publisher([part for t in tokens for part in _split_version(t)]) or [text]
    tokens, dated = _without_date(tokens)
    sized = any(_SIZE.match(t) for t in tokens)
    if sized and tokens[-1] == "v1":  # `claude-v1` is a model of its own; `...-49b-v1` is the first release of one
        tokens, dated = tokens[:-1], dated or "v1"
    tokens, labels = _without_labels(_in_order(tokens), sized=sized)
    return ModelName(stem="-".join(tokens) or text, revision=dated or revision, labels=labels)


def _without_host(text: str) -> tuple[str, str | None]:
    text = _BEDROCK_VERSION.sub("", _BEDROCK_PREFIX.sub("", text.lstrip("~")))
    text, _, host = text.partition("@")
    dated = re.match(r"(\d{3,8})", host)
    return text, dated[1] if dated else None


def _split_version(token: str) -> tuple[str, ...]:
    match = _LINE_VERSION.match(token)
    return (match[1], match[2]) if match else (token,)


def _without_publisher(tokens: list[str]) -> list[str]:
    while len(tokens) > 1 and (
        tokens[0] in _PUBLISHERS or (tokens[0] == "open" and tokens[1].startswith(("mistral", "mixtral")))
    ):
        tokens = tokens[1:]
    return tokens


def _without_date(tokens: list[str]) -> tuple[list[str], str | None]:
    """Remove a date, a numbered release or `latest`; and `preview` where it only says that the date is a preview's."""
    for i, token in enumerate(tokens[1:], start=1):
        after = tokens[i + 1 : i + 3]
        if token in _UNDATED:
            return tokens[:i] + tokens[i + 1 :], None
        if re.fullmatch(r"20\d\d", token) and len(after) == 2 and all(re.fullmatch(r"[0-3]\d", t) for t in after):
            return tokens[:i] + tokens[i + 3 :], token + after[0] + after[1]
        if re.fullmatch(r"[01]\d", token) and after and re.fullmatch(r"20\d\d", after[0]):
            return _dated_preview(tokens, i, width=2, revision=after[0] + token)
        if (
            re.fullmatch(r"[01]\d", token)
            and tokens[i - 1] in {"preview", "exp"}
            and after
            and re.fullmatch(r"[0-3]\d", after[0])
        ):
            return _dated_preview(tokens, i, width=2, revision=token + after[0])
        if any(form.fullmatch(token) for form in (_NUMBERED, _MONTH_DAY, _YEAR_MONTH)):
            return _dated_preview(tokens, i, width=1, revision=token)
    return tokens, None


def _dated_preview(tokens: list[str], at: int, *, width: int, revision: str) -> tuple[list[str], str]:
    numbered = any(t[0].isdigit() for t in tokens[: at - 1])  # not `gemini-exp-1206`: its date is all that it has
    start = at - 1 if tokens[at - 1] in {"preview", "exp"} and len(revision) == 4 and numbered else at
    return tokens[:start] + tokens[at + width :], revision


def _in_order(tokens: list[str]) -> list[str]:
    """Write 4.0 as 4, and the size of a Claude before its version as its makers now do."""
    tokens = [t for i, t in enumerate(tokens) if t != "0" or not i or not tokens[i - 1].isdigit()]
    if tokens[0] == "claude":
        tokens = tokens[:1] + sorted(tokens[1:], key=str.isdigit)
    return tokens


def _without_labels(tokens: list[str], *, sized: bool) -> tuple[list[str], frozenset[str]]:
    if tokens[-2:] == ["turbo", "instruct"]:  # gpt-3.5-turbo-instruct completes text; it is not gpt-3.5-turbo
        return tokens, frozenset()
    kept, dropped, seen_size = tokens[:1], set[str](), False
    for word in tokens[1:]:
        seen_size = seen_size or bool(_SIZE.match(word))
        if word in _LABELS or (sized and word == "chat"):
            continue
        if seen_size and word in _SERVING:
            dropped.add(word)
            continue
        if "fp" in dropped and word in {"8", "16", "4"}:
            continue
        kept.append(word)
    return kept, frozenset(dropped)
