"""Readers that keep count of their stream: each stream that is read in the background has its own."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator

from taskrouter import Plan, ResponseView, Router, Step
from taskrouter.adapters import PerStream, one_by_one

STEP = Step(messages=[{"role": "user", "content": "Count."}])
NAMES = ("a", "b", "last")


class Growing:
    """Reads chunks that hold all so far."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._said = 0

    def view(self, chunk: str) -> ResponseView:
        new, self._said = chunk[self._said :], len(chunk)
        return ResponseView(text=new)


def router(*, held: bool) -> Router:
    models = [{"id": name, "base_url": "http://127.0.0.1:9"} for name in NAMES]
    return Router(models, incumbent="last", config={"execution": {"buffer_streams": held, "retries": 0}})


def chunks(model: str) -> list[str]:
    words = {"a": "one two 3", "b": "one two 4", "last": "one two 3"}[model]
    return [words[: end + 1] for end in range(len(words))]


async def test_streams_that_are_read_at_once_do_not_mix() -> None:
    r = router(held=True)
    decision = dataclasses.replace(r.route(STEP), plan=Plan(kind="agree", models=NAMES), fallbacks=())
    reader, areader = PerStream(Growing), PerStream(Growing)

    def open_stream(model: str) -> Iterator[str]:
        reader.begin()
        yield from chunks(model)

    async def aopen_stream(model: str) -> AsyncIterator[str]:
        areader.begin()
        for chunk in chunks(model):
            await asyncio.sleep(0)
            yield chunk

    stream = r.run_stream(STEP, open_stream, reader.view, decision=decision)
    astream = r.arun_stream(STEP, aopen_stream, areader.view, decision=decision)
    for read, said in ((stream, list(stream)), (astream, [chunk async for chunk in astream])):
        assert said == chunks("last")
        assert read.outcome is not None
        assert read.outcome.text == "one two 3"
        assert [(p.model, p.same) for p in read.outcome.proposals] == [("a", True), ("b", False)]


def test_streams_that_come_in_turns_have_one_after_the_other() -> None:
    reader = PerStream(Growing)

    def open_stream(model: str) -> Iterator[str]:
        reader.begin()
        if model == "last":
            raise ConnectionError
        yield from chunks(model)

    stream = router(held=False).run_stream(STEP, open_stream, reader.view)
    assert list(stream) == chunks("a")
    assert stream.outcome is not None
    assert stream.outcome.text == "one two 3"


def test_calls_that_show_their_words_are_made_one_by_one() -> None:
    decision = router(held=False).route(STEP)
    assert one_by_one(decision) is decision
    gate = dataclasses.replace(decision, plan=Plan(kind="gate", models=("a", "last")))
    assert one_by_one(gate) is gate
    agree = dataclasses.replace(decision, plan=Plan(kind="agree", models=NAMES))
    assert one_by_one(agree).plan == Plan(models=("last",))
