"""One timer for many waits does what `asyncio.timeout` does for one."""

from __future__ import annotations

import asyncio

import pytest

from taskrouter.execution.waits import Waits

SOON, LONG = 0.01, 60.0


async def _forever() -> None:
    await asyncio.Event().wait()


async def test_a_wait_that_takes_too_long_is_a_timeout() -> None:
    waits = Waits()
    with pytest.raises(TimeoutError), waits.until(SOON):
        await _forever()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "the cancellation was the timer's own"


@pytest.mark.parametrize("before", [SOON / 10, LONG], ids=["whose timer goes off first", "whose timer is to come"])
async def test_a_wait_has_its_own_limit_after_another_one(before: float) -> None:
    waits = Waits()
    with waits.until(before):
        pass
    with pytest.raises(TimeoutError), waits.until(SOON):
        await _forever()


async def test_a_timer_of_an_earlier_wait_does_not_cut_a_later_one_short() -> None:
    waits, due = Waits(), asyncio.Event()
    with waits.until(SOON):
        pass
    asyncio.get_running_loop().call_later(3 * SOON, due.set)
    with waits.until(LONG):
        await due.wait()
    assert due.is_set()
    waits.close()


async def test_after_a_timer_that_went_off_between_two_waits_the_next_one_has_a_limit() -> None:
    waits, due = Waits(), asyncio.Event()
    with waits.until(SOON):
        pass
    asyncio.get_running_loop().call_later(2 * SOON, due.set)
    await due.wait()
    with pytest.raises(TimeoutError), waits.until(SOON):
        await _forever()


async def test_who_is_cancelled_from_outside_is_cancelled() -> None:
    waits, waiting = Waits(), asyncio.Event()

    async def reader() -> None:
        with waits.until(LONG):
            waiting.set()
            await _forever()

    task = asyncio.create_task(reader())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    waits.close()


async def test_a_cancellation_beside_the_timer_s_is_not_lost() -> None:
    waits = Waits()

    async def reader() -> None:
        task = asyncio.current_task()
        assert task is not None
        with waits.until(SOON):
            try:
                await _forever()
            except asyncio.CancelledError:
                task.cancel()
                raise

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(reader())


async def test_an_error_of_the_wait_passes_through() -> None:
    with pytest.raises(ValueError, match="broken"), Waits().until(LONG):
        raise ValueError("broken")


async def test_waits_that_are_closed_leave_no_timer() -> None:
    waits, rang = Waits(), asyncio.Event()
    with waits.until(SOON):
        pass
    waits.close()
    asyncio.get_running_loop().call_later(2 * SOON, rang.set)
    await rang.wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancellation_that_is_lost_beneath_is_one_all_the_same() -> None:
    waits, waiting = Waits(), asyncio.Event()

    async def loses_it() -> None:
        try:
            waiting.set()
            await _forever()
        except asyncio.CancelledError:
            return  # as `asyncio.wait_for` of Python 3.11 does when a result came in the same moment

    async def reader() -> None:
        with waits.until(LONG):
            await loses_it()

    reading = asyncio.create_task(reader())
    await waiting.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    waits.close()
