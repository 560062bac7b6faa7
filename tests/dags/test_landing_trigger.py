"""The trigger that watches a landing folder, run as the triggerer runs it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plugins.triggers.landing import NAMES_IN_AN_EVENT, LandingTrigger

POLL = 0.02


class Watch:
    """A trigger that runs, and the names of its events so far."""

    def __init__(self, folder: Path) -> None:
        self.events: AsyncIterator = LandingTrigger(str(folder), POLL).run()

    async def next(self) -> list[str]:
        event = await asyncio.wait_for(anext(self.events), timeout=5)
        return event.payload["files"]

    async def stays_silent(self) -> bool:
        waiting = asyncio.ensure_future(anext(self.events))
        done, _ = await asyncio.wait([waiting], timeout=POLL * 10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return not done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "landing" / "reviews"


def land(folder: Path, name: str, text: str = "x") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_files_are_told_of_once(folder: Path) -> None:
    async def scenario() -> None:
        watch = Watch(folder)
        land(folder, "b.csv")
        land(folder, "a.csv")
        assert await watch.next() == ["a.csv", "b.csv"]
        assert await watch.stays_silent()

    asyncio.run(scenario())


def test_a_folder_that_is_missing_is_waited_for_and_later_files_are_told_of(folder: Path) -> None:
    async def scenario() -> None:
        watch = Watch(folder)
        first = asyncio.ensure_future(watch.next())
        await asyncio.sleep(POLL * 5)
        land(folder, "a.csv")
        assert await first == ["a.csv"]
        land(folder, "b.csv")
        assert await watch.next() == ["b.csv"]

    asyncio.run(scenario())


def test_a_name_that_lands_again_after_it_was_moved_away_is_told_of_again(folder: Path) -> None:
    async def scenario() -> None:
        watch = Watch(folder)
        land(folder, "a.csv")
        assert await watch.next() == ["a.csv"]
        (folder / "a.csv").unlink()
        second = asyncio.ensure_future(watch.next())
        await asyncio.sleep(POLL * 5)
        land(folder, "a.csv")
        assert await second == ["a.csv"]

    asyncio.run(scenario())


def test_a_file_that_still_grows_is_not_told_of(folder: Path) -> None:
    async def scenario() -> None:
        watch = Watch(folder)
        told = asyncio.ensure_future(watch.next())
        for length in range(1, 30):
            land(folder, "a.csv", "x" * length)
            await asyncio.sleep(POLL / 4)
        assert not told.done()
        assert await told == ["a.csv"]

    asyncio.run(scenario())


def test_a_file_that_its_writer_still_has_open_is_not_told_of(folder: Path) -> None:
    async def scenario() -> None:
        land(folder, "a.csv")
        watch = Watch(folder)
        with (folder / "a.csv").open("a") as writer:
            told = asyncio.ensure_future(watch.next())
            await asyncio.sleep(POLL * 10)
            assert not told.done()
            writer.write("x")
        assert await told == ["a.csv"]

    asyncio.run(scenario())


def test_dot_files_and_folders_are_nobody_s_business(folder: Path) -> None:
    async def scenario() -> None:
        land(folder, ".a.csv.part")
        land(folder, "a.csv.filepart")
        land(folder, "a.csv.TMP")
        (folder / ".archive").mkdir()
        (folder / "sub").mkdir()
        assert await Watch(folder).stays_silent()

    asyncio.run(scenario())


def test_a_triggerer_that_starts_anew_tells_of_what_landed_while_it_was_down(folder: Path) -> None:
    async def scenario() -> None:
        land(folder, "a.csv")
        assert await Watch(folder).next() == ["a.csv"]
        land(folder, "b.csv")
        assert await Watch(folder).next() == ["a.csv", "b.csv"]

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_read_is_tried_until_it_can(folder: Path) -> None:
    async def scenario() -> None:
        folder.parent.mkdir(parents=True)
        folder.write_text("a file in the folder's place")
        watch = Watch(folder)
        told = asyncio.ensure_future(watch.next())
        await asyncio.sleep(POLL * 5)
        folder.unlink()
        land(folder, "a.csv")
        assert await told == ["a.csv"]

    asyncio.run(scenario())


def test_an_event_stays_small_however_many_files_land(folder: Path) -> None:
    async def scenario() -> None:
        for number in range(NAMES_IN_AN_EVENT + 50):
            land(folder, f"{number:04}.csv")
        event = await anext(LandingTrigger(str(folder), POLL).run())
        assert len(event.payload["files"]) == NAMES_IN_AN_EVENT
        assert event.payload["file_count"] == NAMES_IN_AN_EVENT + 50

    asyncio.run(scenario())


def test_it_is_made_again_from_what_it_serialises_to(folder: Path) -> None:
    path, arguments = LandingTrigger(str(folder), 3).serialize()
    assert path == f"{LandingTrigger.__module__}.{LandingTrigger.__qualname__}"
    assert LandingTrigger(**arguments).serialize() == (path, arguments)
