"""What users read of the log waits for nothing but its like, and nothing waits for it."""

import asyncio
import threading

import pytest
from perennial_gateway.readings import MOST, THREADS, Readings
from perennial_gateway.web import Refused


def test_slow_readings_hold_up_no_other_work_and_too_many_are_refused() -> None:
    async def scenario() -> None:
        readings, done = Readings(), threading.Event()
        slow = [asyncio.create_task(readings.run(done.wait)) for _ in range(MOST)]
        await asyncio.sleep(0)

        assert await asyncio.wait_for(asyncio.to_thread(lambda: "a change of routes"), 5)
        with pytest.raises(Refused, match=f"{MOST} readings") as refused:
            await readings.run(done.wait)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})

        done.set()
        assert all(await asyncio.gather(*slow))
        assert await readings.run(threading.active_count) >= THREADS

    asyncio.run(scenario())


def test_a_reading_that_nobody_waits_for_any_more_gives_its_place_back() -> None:
    async def scenario() -> None:
        readings, done = Readings(), threading.Event()
        slow = [asyncio.create_task(readings.run(done.wait)) for _ in range(MOST)]
        await asyncio.sleep(0)
        slow[-1].cancel()
        await asyncio.gather(slow[-1], return_exceptions=True)
        asked = asyncio.create_task(readings.run(lambda: "an answer"))
        done.set()
        assert await asked == "an answer"
        await asyncio.gather(*slow, return_exceptions=True)

    asyncio.run(scenario())
