"""What a client's exception says of a failure in machine-readable form: status, codes, body, headers.

Every client keeps these in a place of its own. Nothing here raises: a client's property may fail when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST_BODY = 65_536
_LONGEST_TEXT = 2_000

Body = Mapping[Any, Any]


def read(owner: object, name: str) -> Any:
    """Return an attribute, or None where it is missing or cannot be read."""
    try:
        return getattr(owner, name, None)
    except Exception:  # noqa: BLE001 - a failure to describe a failure says nothing of it
        return None


def text(error: BaseException) -> str:
    """Return the beginning of an exception's text in lower case: longer ones may quote the request."""
    try:
        return str(error)[:_LONGEST_TEXT].lower()
    except Exception:  # noqa: BLE001 - the same
        return ""


def bodies(error: BaseException) -> list[Body]:
    """Return the error objects in an answer's body, the innermost first, as far as the client has read it."""
    found = [body for raw in _raw_bodies(error) for body in _unpacked(raw)]
    # Of httpx and requests: the public ways to a body may go to the network.
    return found or _unpacked(read(read(error, "response"), "_content"))


def status(error: BaseException, said: list[Body]) -> int | None:
    """Return the HTTP status of a failure, also where only the body of an answer of 200 tells it."""
    for value in _statuses(error, said):
        if isinstance(value, str) and len(value) == 3 and value.isdecimal():
            value = int(value)  # noqa: PLW2901 - LiteLLM's and OpenRouter's codes are statuses, as text or number
        if isinstance(value, int) and 300 <= value <= 599:
            return int(value)
    return None


def codes(error: BaseException, said: list[Body]) -> list[str]:
    """Return a provider's codes for a failure in lower case, the most particular first."""
    found: list[Any] = []
    for body in said:
        details = body.get("details")
        if isinstance(details, Mapping):  # Anthropic
            found.append(details.get("error_code"))
        elif isinstance(details, list):
            found += _google_reasons(details)
        inner = body.get("innererror")
        metadata = body.get("metadata")
        found += [
            inner.get("code") if isinstance(inner, Mapping) else None,  # Azure
            "content_filter" if isinstance(metadata, Mapping) and "flagged_input" in metadata else None,  # OpenRouter
            *(body.get(name) for name in ("code", "Code", "type", "error_type", "status")),
        ]
    found += [read(error, "error_code"), _code(error), read(error, "type"), read(error, "status")]
    return [code.lower() for code in found if isinstance(code, str)]


def headers(error: BaseException) -> Iterator[Mapping[Any, Any]]:
    """Yield the headers of the answer, from all places where clients keep them."""
    response = read(error, "response")
    found: Any
    metadata = response.get("ResponseMetadata") if isinstance(response, Mapping) else None
    for found in (
        metadata.get("HTTPHeaders") if isinstance(metadata, Mapping) else read(response, "headers"),
        read(error, "headers"),
        read(read(error, "raw_response"), "headers"),
        read(error, "litellm_response_headers"),
    ):
        try:
            yield dict(found.items())  # not of a Mapping only: urllib's are an email.message.Message
        except Exception:  # noqa: BLE001, S112 - as above
            continue


def _raw_bodies(error: BaseException) -> Iterator[Any]:
    response = read(error, "response")
    yield from (read(error, "body"), read(error, "details"), response)  # the last is botocore's parsed answer
    if len(error.args) == 1 and isinstance(error.args[0], Mapping):  # ValueError(answer["error"]) of langchain-openai
        yield error.args[0]
    if (azure := read(read(error, "error"), "code")) is not None:
        yield {"code": azure, "innererror": read(read(error, "error"), "innererror")}


def _unpacked(raw: Any) -> list[Body]:
    body = _mapping(raw)
    if body is None:
        return []
    inner = _mapping(body.get("error", body.get("Error")))
    return [body] if inner is None else [inner, body]


def _mapping(raw: Any) -> Body | None:
    if isinstance(raw, (str, bytes)):
        if not 2 <= len(raw) <= _LONGEST_BODY or raw[:1] not in ("{", "[", b"{", b"["):
            return None
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            return None
    if isinstance(raw, list) and len(raw) == 1:  # Google, at its OpenAI-compatible address
        raw = raw[0]
    return raw if isinstance(raw, Mapping) else None


def _statuses(error: BaseException, said: list[Body]) -> Iterator[Any]:
    response = read(error, "response")
    yield from (read(error, "status_code"), read(error, "status"), read(error, "http_status"))
    yield from (read(response, "status_code"), read(response, "status"), _code(error))
    for body in said:
        yield from (body.get("code"), body.get("status"), body.get("status_code"))
        if isinstance(metadata := body.get("ResponseMetadata"), Mapping):
            yield metadata.get("HTTPStatusCode")


def _code(error: BaseException) -> Any:
    """Return `code`, which is a method of gRPC's errors, and of aiohttp's a property that warns."""
    if isinstance(read(type(error), "code"), property):
        return None
    code = read(error, "code")
    if not callable(code):
        return code
    try:
        return read(code(), "name")
    except Exception:  # noqa: BLE001 - as above
        return None


def _google_reasons(details: list[Any]) -> Iterator[Any]:
    for detail in details:
        if not isinstance(detail, Mapping):
            continue
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, Mapping) and "PerDay" in str(violation.get("quotaId")):
                yield "quota_of_the_day"  # its retryDelay is that of the minute
        yield detail.get("reason")
