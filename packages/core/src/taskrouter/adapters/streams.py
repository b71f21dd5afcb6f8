"""Readers of chunks that keep count of their stream, where several streams are read beside one another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from taskrouter.execution.gathering import background_stream
from taskrouter.outcome import ResponseView

C_contra = TypeVar("C_contra", contravariant=True)


class Reader(Protocol[C_contra]):
    """Reads the chunks of one stream after the other."""

    @property
    def begin(self) -> Callable[..., None]:
        """Forget the stream so far: another one begins."""
        ...

    def view(self, chunk: C_contra, /) -> ResponseView:
        """Read the next chunk."""
        ...


class PerStream(Generic[C_contra]):
    """A reader of its own for every stream that is read in the background, and one for those that come in turns.

    Proposers of a plan are streamed at once, and what is new in a chunk depends on what its stream has brought before.

    Args:
        make: makes a reader.
    """

    def __init__(self, make: Callable[[], Reader[C_contra]]) -> None:
        self._make = make
        self._readers: dict[object, Reader[C_contra]] = {}

    def begin(self, *facts: Any) -> None:
        """Begin with another stream; `facts` is what the reader wants to be told."""
        reader = self._readers[background_stream()] = self._make()
        reader.begin(*facts)

    def view(self, chunk: C_contra) -> ResponseView:
        """Read the next chunk of the stream that is read here."""
        return self._readers[background_stream()].view(chunk)
