"""Language and field are guessed from little and left open where little speaks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrouter.profile import DOMAINS
from taskrouter.profiling.domain import guess_domain
from taskrouter.profiling.language import guess_language
from taskrouter.profiling.text import split


def language(text) -> str:
    return guess_language(text, split(text))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "Please explain how the engine works"),
        ("de", "Erkläre bitte den Unterschied zwischen Wetter und Klima"),
        ("fr", "Explique la différence entre le temps et le climat"),
        ("es", "Explica cómo funciona el motor de la nave"),
        ("pt", "Explique como funciona o motor do carro, por favor, e não use números"),
        ("it", "Spiega come funziona il motore della nave"),
        ("nl", "Schrijf een verhaal over het huis van de buren"),
        ("pl", "Wyjaśnij, jak działa silnik i dlaczego jest głośny"),
        ("tr", "Bir motorun nasıl çalıştığını açıkla ve bu konu için örnek yaz"),
        ("vi", "Hãy giải thích động cơ là gì và những loại nào"),
        ("zh", "请解释发动机是如何工作的"),
        ("ja", "エンジンの仕組みを説明してください"),
        ("ko", "엔진이 어떻게 작동하는지 설명해 주세요"),
        ("ru", "Объясни, как работает двигатель"),
        ("uk", "Поясни, як працює двигун і чому він гучний"),
        ("ar", "اشرح كيف يعمل المحرك"),
        ("hi", "इंजन कैसे काम करता है समझाइए"),
    ],
)
def test_common_languages_are_told_apart(code, text):
    assert language(text) == code


@pytest.mark.parametrize("text", ["", "12345", "zxqv", "SELECT 1"])
def test_language_is_undetermined_where_nothing_tells(text):
    assert language(text) == "und"


def test_quoted_foreign_word_does_not_change_the_language():
    assert language("What is the meaning of the word 日本 in this old text?") == "en"


@given(st.text(max_size=300))
def test_any_text_has_a_language_code(text):
    code = language(text)
    assert len(code) in (2, 3)
    assert code.isascii()


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        ("finance_business", "Compare revenue and profit of the company over the last quarterly earnings"),
        ("legal", "Does the contract clause limit the liability of the landlord?"),
        ("medical", "The patient shows symptoms of an infection; propose a treatment"),
        ("software_it", "Deploy the Docker image to the Kubernetes cluster and restart the API server"),
        ("math", "Prove the theorem about the derivative of a polynomial"),
        ("science_eng", "How does temperature change the voltage of a battery?"),
        ("humanities_social", "Which war followed the revolution in the nineteenth century?"),
        ("customer_support", "I want a refund, the delivery never came"),
        ("general", "Tell me something nice about this morning"),
    ],
)
def test_fields_are_recognised(domain, text):
    assert guess_domain(frozenset(split(text))) == domain


def test_words_that_say_nothing_name_no_field():
    assert guess_domain(frozenset()) == "general"
    assert guess_domain({"zxqv", "the", "of"}) == "general"


@given(st.frozensets(st.text(max_size=20), max_size=50))
def test_any_words_have_a_known_domain(words):
    assert guess_domain(words) in DOMAINS
