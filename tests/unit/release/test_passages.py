"""Through which environments a version has passed is told by the ledger, whatever a killed step left."""

from typing import Any

from tasks.contracts import Action, LedgerEntry
from tasks.release.passages import held, not_passed, passed, promised_in, standing_in, unsettled
from tests.unit.release.test_states import Told, route


def sha(version: str) -> str:
    return route(version).archive_sha256


class Environments(Told):
    """A ledger of environments in the making."""

    def change(
        self, after: str, to: str | None, before: str | None = None, *, where: str = "dev", done: bool = True
    ) -> LedgerEntry:
        def plain(version: str | None) -> dict[str, Any] | None:
            return route(version).model_dump(mode="json") if version else None

        evidence = {"environment": where, "route": plain(to), "before": plain(before)}
        entry = self.add(Action.ENVIRONMENT, before, after, **evidence)
        if done:
            self.done(entry)
        return entry


def test_a_version_has_passed_where_it_serves_and_that_was_written_down_as_done() -> None:
    told = Environments()
    entry = told.change("entered", "1", done=False)
    assert passed(told.entries, "dev", sha("1")) is None

    told.done(entry)
    assert passed(told.entries, "dev", sha("1")) == entry


def test_another_archive_under_the_same_number_has_not_passed() -> None:
    told = Environments()
    told.change("entered", "1")

    assert passed(told.entries, "dev", sha("2")) is None


def test_what_passed_dev_has_not_passed_staging() -> None:
    told = Environments()
    told.change("entered", "1", where="dev")

    assert not_passed(told.entries, ["dev", "staging"], sha("1")) == ["staging"]


def test_a_version_that_was_followed_by_another_has_passed_all_the_same() -> None:
    told = Environments()
    told.change("entered", "1")
    told.change("entered", "2", "1")

    assert not_passed(told.entries, ["dev"], sha("1")) == []


def test_what_was_rolled_back_or_did_not_answer_has_not_passed_any_more() -> None:
    told = Environments()
    told.change("entered", "1")
    told.change("withdrawn", None, "1")
    assert not_passed(told.entries, ["dev"], sha("1")) == ["dev"], "the first one there, that was bad"
    for after in ("rolled_back", "left"):
        told = Environments()
        told.change("entered", "1")
        told.change("entered", "2", "1")
        told.change(after, "1", "2")

        assert not_passed(told.entries, ["dev"], sha("2")) == ["dev"], after
        assert not_passed(told.entries, ["dev"], sha("1")) == [], after


def test_what_was_rolled_back_has_passed_once_it_came_in_again() -> None:
    told = Environments()
    told.change("entered", "1")
    told.change("entered", "2", "1")
    told.change("rolled_back", "1", "2")
    again = told.change("entered", "2", "1")

    assert passed(told.entries, "dev", sha("2")) == again


def test_a_refused_version_changes_nothing_of_what_serves() -> None:
    told = Environments()
    told.change("entered", "1")
    told.change("refused", "2", "1")

    assert promised_in(told.entries, "dev") == route("1")
    assert passed(told.entries, "dev", sha("2")) is None


def test_entries_of_production_say_nothing_of_an_environment() -> None:
    told = Environments()
    told.served("1", 1)

    assert promised_in(told.entries, "dev") is None
    assert standing_in(told.entries) == []


def test_what_serves_and_what_served_before_stay_loaded_for_each_environment() -> None:
    told = Environments()
    told.change("entered", "1")
    told.change("entered", "2", "1")
    told.change("entered", "1", where="staging")

    kept = [each.model_version for each in held(told.entries, ["dev", "staging"])]
    assert kept == ["2", "1", "1"]
    assert held(told.entries, []) == []


def test_nothing_stays_loaded_for_what_was_withdrawn_or_did_not_answer() -> None:
    told = Environments()
    told.change("entered", "1")
    told.change("entered", "2", "1")
    told.change("left", "1", "2")
    assert [each.model_version for each in held(told.entries, ["dev"])] == ["1"]

    told.change("withdrawn", None, "1")
    assert held(told.entries, ["dev"]) == []


def test_status_says_what_serves_in_each_environment_and_why() -> None:
    told = Environments()
    told.change("entered", "1", where="dev")
    told.change("withdrawn", None, "1", where="staging")

    dev, staging = standing_in(told.entries)
    assert (dev.environment, dev.model_version, dev.archive_sha256) == ("dev", "1", sha("1"))
    assert (staging.model_version, staging.why) == (None, "A test says so.")


def test_an_environment_that_agrees_with_the_ledger_is_left_alone() -> None:
    told = Environments()
    assert unsettled(told.entries, "dev", None, None) is None

    told.change("entered", "1")
    assert unsettled(told.entries, "dev", route("1"), "1") is None


def test_what_a_killed_step_left_open_is_found() -> None:
    told = Environments()
    entry = told.change("entered", "1", done=False)

    assert "not carried out" in (unsettled(told.entries, "dev", None, None) or "")
    assert "not carried out" in (unsettled(told.entries, "dev", route("1"), None) or "")
    assert "not written down" in (unsettled(told.entries, "dev", route("1"), "1") or "")
    told.done(entry)
    assert unsettled(told.entries, "dev", route("1"), "1") is None


def test_a_route_or_alias_that_somebody_changed_past_the_ledger_is_found() -> None:
    told = Environments()
    told.change("entered", "1")

    assert "version 2 serves in dev" in (unsettled(told.entries, "dev", route("2"), "1") or "")
    assert "no version serves in dev" in (unsettled(told.entries, "dev", None, "1") or "")
    assert "alias dev names version 2" in (unsettled(told.entries, "dev", route("1"), "2") or "")
