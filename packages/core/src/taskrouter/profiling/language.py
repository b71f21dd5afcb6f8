"""The language of a step, guessed from its script and a few of the commonest words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from taskrouter.profiling.text import majority

UNDETERMINED: Final = "und"

SAMPLE_CHARS: Final = 240
"""Characters that are looked at."""
SCRIPT_SHARE: Final = 0.2
"""Share of a sample that must be in another script before the script decides: names and quotations stay below."""

STOPWORDS: Final[dict[str, str]] = {
    "en": "the of and to in is that for it with as are this be on by an what how you your please write from can do "
    "who why where when explain give make my me we they was were not which will have has a do does "
    "did any summarize translate list create prove implement review hi hello thanks compare design build fix",
    "de": "der die das und ist nicht ein eine einen zu mit für auf den dem wie was ich sie wir von bitte schreibe "
    "erkläre warum sind im zwischen übersetze einer",
    "fr": "le la les des est et un une que qui dans pour pas sur avec ce cette vous je quest explique écris comment "
    "du au en sont quel quelle entre traduis résume",
    "es": "el la los las de que y en un una es por con para qué cómo cuál está del al se explica escribe entre "
    "porque traduce resume su",
    "pt": "o os as de que e em um uma é por com para não como qual está do da dos das você explique escreva entre "
    "porque traduza resuma",
    "it": "il lo la gli di che e in un una è per con non come cosa sono del della dei scrivi spiega perché tra "
    "traduci riassumi questo",
    "nl": "de het een en is van niet dat op te voor met zijn wat hoe ik je schrijf waarom uit tussen vertaal",
    "pl": "i w nie jest na to z się co jak czy dla do że o napisz wyjaśnij jaka jaki są dlaczego przetłumacz",
    "tr": "ve bir bu için ile ne nedir nasıl de da mı olan yaz açıkla arasındaki neden var değil kadar",
    "vi": "là và của có cho các một không được trong gì hãy với những như viết giải thích thế nào",
    "cs": "a v je na se co jak to že pro s do napiš vysvětli jsou není proč mezi který",
    "sv": "och det att som en är på för av med inte den till vad hur ett skriv jag varför",
    "id": "dan yang di apa itu untuk dengan adalah dari ini tidak bagaimana buatlah jelaskan ke pada",
}
"""Words that a text in the language can hardly do without, and those that requests begin with."""

_SCRIPTS = (
    ("ja", re.compile("[\u3041-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
    ("th", re.compile("[\u0e00-\u0e7f]")),
    ("he", re.compile("[\u0590-\u05ff]")),
    ("el", re.compile("[\u0370-\u03ff]")),
    ("bn", re.compile("[\u0980-\u09ff]")),
    ("ta", re.compile("[\u0b80-\u0bff]")),
)
_UKRAINIAN = re.compile("[іїєґІЇЄҐ]")
_PERSIAN = re.compile("[پچژگ]")

_LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _list in STOPWORDS.items():
    for _word in _list.split():
        _LANGUAGES_OF.setdefault(_word, []).append(_language)
_KNOWN = frozenset(_LANGUAGES_OF)
_ENGLISH = frozenset(word for word, languages in _LANGUAGES_OF.items() if languages == ["en"])
ENGLISH_ENOUGH: Final = 4
"""So many words that only English has settle it; no other list is counted."""


def guess_language(text: str, tokens: Iterable[str]) -> str:
    """Return an ISO 639-1 code, or `und` where neither the script nor the commonest words tell."""
    sample = text[:SAMPLE_CHARS]
    if not sample.isascii() and (code := _by_script(sample)):
        return code
    if len(_ENGLISH.intersection(tokens)) >= ENGLISH_ENOUGH:
        return "en"
    return majority(_KNOWN.intersection(tokens), _LANGUAGES_OF)[0] or UNDETERMINED


def _by_script(sample: str) -> str | None:
    counts = {code: len(pattern.findall(sample)) for code, pattern in _SCRIPTS}
    if sum(counts.values()) < SCRIPT_SHARE * len(sample):
        return None
    if counts["ja"] and 10 * counts["ja"] >= counts["zh"]:
        counts["ja"] += counts["zh"]  # Japanese mixes kana with Han: some kana settle it even where Han prevails
    code = max(counts, key=counts.__getitem__)
    if code == "ru" and _UKRAINIAN.search(sample):
        return "uk"
    if code == "ar" and _PERSIAN.search(sample):
        return "fa"
    return code
