"""From the exceptions of provider clients to our taxonomy: by type, status and code, before any text.

No client library is imported: names of exception classes are a public part of each library, and an application that
never loaded one cannot raise its errors. A wrapper that says little ("connection error", LiteLLM's made-up 500) is
asked for what it wraps. Text is read last, for what has no other sign, and is never copied into our message.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
from collections.abc import Iterator, Mapping
from dataclasses import replace

from taskrouter import errors as e
from taskrouter.execution import evidence, signs
from taskrouter.execution.retry_after import retry_after_s, retry_delay_s
from taskrouter.execution.signs import Doubt, Verdict

__all__ = ["classify", "retry_after_s"]

_BUGS = (TypeError, AttributeError, NameError, AssertionError, ImportError, RecursionError, NotImplementedError)
_OF_THIS_SIDE = (
    asyncio.InvalidStateError,
    concurrent.futures.InvalidStateError,
    concurrent.futures.CancelledError,  # unlike asyncio's an Exception: whoever cancelled wants no other model either
    concurrent.futures.BrokenExecutor,
    MemoryError,
    e.ConfigurationError,
)
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL})
_USED_UP_HERE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_MOST_LINKS = 10


def classify(error: Exception, model: str) -> e.ModelCallError:
    """Return our error for a client's exception, which stays its `__cause__`."""
    if isinstance(error, e.ModelCallError):
        return error
    best: Verdict | None = None
    told_by, seen = error, []
    for link in _chain(error):
        seen.append(link)
        verdict = _judge(link)
        if verdict is not None and verdict.doubt is Doubt.BUG and link is not error:
            verdict = replace(verdict, cls=e.ModelCallError)  # its library's bug, not ours: another model may do
        if verdict is not None and (best is None or verdict.doubt < best.doubt):
            best, told_by = verdict, link
            if verdict.doubt is Doubt.NONE:
                break
    if best is None:
        best = Verdict(cls=e.ModelCallError, status=evidence.status(error, evidence.bodies(error)))
    ours = _ours(best, told_by, seen, model)
    ours.__cause__ = error
    return ours


def _ours(verdict: Verdict, told_by: Exception, seen: list[Exception], model: str) -> e.ModelCallError:
    detail = verdict.detail
    if verdict.cls is e.LocalFailure:
        # The class of a local failure is our own world's, and all that its reader has to go by.
        detail = f"could not be called, the failure is local: {type(told_by).__name__}"
    limits = verdict.cls in (e.RateLimited, e.Overloaded)
    waits_s = (_wait_s(link, limits=limits) for link in (told_by, *seen))
    ours = verdict.cls(
        model,
        status=verdict.status,
        retry_after_s=next((wait_s for wait_s in waits_s if wait_s is not None), None),
        retryable=verdict.retryable,
        detail=detail,
    )
    if verdict.of_the_step:
        ours.of_the_step = True
    return ours


def _wait_s(error: Exception, *, limits: bool) -> float | None:
    if isinstance(error, e.ModelCallError):
        return error.retry_after_s
    for headers in evidence.headers(error):
        if (wait_s := retry_after_s(headers, limits=limits)) is not None:
            return wait_s
    return retry_delay_s(evidence.bodies(error))


def _chain(error: Exception) -> Iterator[Exception]:
    """Yield an exception and what it wraps, the outer first."""
    waiting: list[Exception] = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_LINKS:
        link = waiting.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [inner for inner in reversed(_wrapped(link)) if isinstance(inner, Exception)]


def _wrapped(error: Exception) -> tuple[object, ...]:
    if isinstance(error, BaseExceptionGroup):
        return error.exceptions if len(error.exceptions) == 1 else ()
    # LiteLLM raises its errors while it handles the client's. Elsewhere a context may be an accident: a cache's miss.
    implied = _is_litellm(error) and error.__cause__ is None and not error.__suppress_context__
    return (
        evidence.read(error, "original_exception"),  # litellm
        evidence.read(error, "inner_exception"),  # azure-core
        evidence.read(error, "reason"),  # urllib, urllib3
        error.__context__ if implied else error.__cause__,
    )


def _judge(error: Exception) -> Verdict | None:
    """Return what one exception says, without what it wraps."""
    if isinstance(error, e.ModelCallError):  # of a router inside this one
        known = type(error).__module__ == e.__name__ and not isinstance(error, e.StreamBroken)
        return Verdict(
            cls=type(error) if known else e.ModelCallError,
            retryable=error.retryable,
            status=error.status,
            of_the_step=error.of_the_step,
        )
    said = evidence.bodies(error)
    status = evidence.status(error, said)
    verdict = _by_sign(error, said, status)
    if verdict is None or verdict.doubt is not Doubt.NONE or verdict.cls is e.RateLimited:
        verdict = _by_text(error, verdict) or verdict
    if verdict is None or verdict is signs.NO_KEY or (verdict.cls in (e.ConnectionFailed, e.LocalFailure)):
        return verdict  # a status here was made up: there was no answer
    return replace(verdict, status=status)


def _by_sign(error: Exception, said: list[evidence.Body], status: int | None) -> Verdict | None:
    codes = evidence.codes(error, said)
    found = _first(codes, signs.CODES) or _too_long(error, codes)
    if found is not None:
        return signs.TOO_LARGE if (found.cls, status) == (e.RateLimited, 413) else found
    names = [cls.__name__ for cls in type(error).__mro__]
    found = (
        _first(names, signs.NAMES)
        or _by_status(status)
        or _first(codes, signs.BROAD_CODES)
        or _first(names, signs.BROAD_NAMES)
        or _by_type(error)
    )
    return replace(found, doubt=Doubt.WRAPPER) if found and _made_up(error, found, status) else found


def _first(keys: list[str], table: Mapping[str, Verdict]) -> Verdict | None:
    return next((table[key] for key in keys if key in table), None)


def _too_long(error: Exception, codes: list[str]) -> Verdict | None:
    """OpenAI's limit of a field's length is about the step only if the field is the conversation."""
    of_the_step = str(evidence.read(error, "param")).startswith(("messages", "input"))
    return Verdict(cls=e.ContextOverflow) if "string_above_max_length" in codes and of_the_step else None


def _by_status(status: int | None) -> Verdict | None:
    if status is None or status < 400:
        return None
    broad = Verdict(cls=e.ServerFailed if status >= 500 else e.BadRequest, doubt=Doubt.BROAD)
    return signs.STATUSES.get(status, broad)


def _by_type(error: Exception) -> Verdict | None:
    if isinstance(error, _BUGS):
        return Verdict(cls=e.LocalFailure, doubt=Doubt.BUG)
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, _OF_THIS_SIDE) or number in _USED_UP_HERE:
        return Verdict(cls=e.LocalFailure)
    return Verdict(cls=e.ConnectionFailed) if number in _UNREACHABLE else None


def _made_up(error: Exception, found: Verdict, status: int | None) -> bool:
    """Tell whether an exception stands for another: LiteLLM answers 500, 408 or 503 where nobody else did."""
    if evidence.read(error, "original_exception") is not None:
        return True
    unanswered = found.cls is e.ConnectionFailed or (found.cls, status) in ((e.ServerFailed, 500), (e.Timeout, 408))
    return unanswered and _is_litellm(error)


def _is_litellm(error: Exception) -> bool:
    return type(error).__module__.startswith("litellm.")


def _by_text(error: Exception, so_far: Verdict | None) -> Verdict | None:
    said = evidence.text(error)
    if so_far is not None and so_far.cls is e.RateLimited:
        return signs.TOO_LARGE if so_far.retryable is None and signs.TOO_LARGE_PHRASE in said else None
    if (type(error).__module__, type(error).__name__) in signs.KEYLESS_TYPES or _any(signs.KEY_PHRASES, said):
        return signs.NO_KEY
    if _any(signs.CONTEXT_PHRASES, said):
        return Verdict(cls=e.ContextOverflow)
    if isinstance(error, RuntimeError) and _any(signs.CLOSED_PHRASES, said):
        return Verdict(cls=e.LocalFailure)
    if signs.PROVIDER_PHRASE in said:
        return Verdict(cls=e.ModelNotFound)
    return Verdict(cls=e.BadAnswer) if signs.CHOICES_PHRASE in said else None


def _any(phrases: tuple[str, ...], said: str) -> bool:
    return any(phrase in said for phrase in phrases)
