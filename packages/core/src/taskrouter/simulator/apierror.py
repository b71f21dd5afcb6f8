"""Errors in the API's shape, so that clients parse them as they parse real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A request is refused with a status and the API's error document."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the body that goes with the status."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


class AnthropicError(ApiError):
    """The same with the error document of Anthropic's API."""

    def document(self) -> dict[str, Any]:
        """Return the body that goes with the status."""
        return {"type": "error", "error": {"type": self.kind, "message": self.message}}
