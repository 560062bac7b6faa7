"""`perennial card` on real records: a version without a card, and one that has its own."""

import json
import time
from pathlib import Path

import pytest

from cli import show
from tasks.contracts import EnergyAssumptions, ModelCard
from tasks.errors import RegistryError
from tasks.provenance.card import gather, kept
from tasks.stores import registry
from tests.unit.cards import ASSUMED
from tests.unit.cli.conftest import Ask, ask
from tests.unit.provenance.world import MODEL, World

__all__ = ["ask"]


@pytest.fixture(autouse=True)
def _running(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform runs here, whose Airflow nothing of this asks."""
    monkeypatch.setenv("PERENNIAL_AIRFLOW_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("PERENNIAL_URL", raising=False)


def test_a_version_without_a_card_is_told_from_the_records(world: World, ask: Ask) -> None:
    told = ask("card", MODEL, "2")
    assert told.code == 0
    assert told.shown.startswith(f"# Model card: {MODEL.replace('_', chr(92) + '_')}, version 2")
    assert "Nobody has asked its archive yet" in told.shown
    assert world.runs[1].run_id in told.shown
    assert "poison.csv" in told.shown


def test_what_takes_a_while_is_told_to_a_person_and_never_to_a_program(
    world: World, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    doing = "Gathering the records of version 2 of"
    with monkeypatch.context() as patched:
        patched.setattr(show, "PATIENCE_SECONDS", 3600)
        assert ask("card", MODEL, "2").said == "", "nothing of what is quick, where nobody sees it"
        patched.setattr("sys.stderr.isatty", lambda: True)
        told = ask("card", MODEL, "2")
        assert told.said.startswith(doing)
        assert doing not in told.shown
        assert ask("card", MODEL, "2", "--json").said == ""


@pytest.mark.parametrize("json", [True, False])
def test_a_pipe_is_told_what_takes_longer_than_a_moment(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, json: bool
) -> None:
    monkeypatch.setattr(show, "PATIENCE_SECONDS", 0.01)
    said, until = "", time.monotonic() + (0.1 if json else 60)
    with show.at_work("Counting ...", json=json):
        while not said and time.monotonic() < until:
            time.sleep(0.005)
            said += capsys.readouterr().err
    assert said == ("" if json else "Counting ...\n")


def test_a_card_that_is_kept_is_shown_with_the_decisions_since(
    world: World, ask: Ask, tmp_path: Path
) -> None:
    version = registry.get_version(MODEL, "1")
    made = gather.gather(world.spec, version, EnergyAssumptions.model_validate(ASSUMED), ask=False)
    kept.keep(made.model_copy(update={"decisions": made.decisions[:1], "owner": "as it was kept"}))

    shown = ModelCard.model_validate(json.loads(ask("card", MODEL, "1", "--json").shown))
    assert shown.owner == "as it was kept"
    assert shown.decisions == made.decisions
    assert len(made.decisions) >= 2
    assert shown.energy is not None
    assert shown.energy.seconds.wall >= 0
    described = registry.client().get_model_version(MODEL, "1").description
    assert described.startswith("# Model card")

    page = tmp_path / "card.html"
    assert ask("card", MODEL, "1", "--html", str(page)).code == 0
    assert f"<h1>Model card: {MODEL}, version 1</h1>" in page.read_text()

    registry.log_text(version.run_id, kept.DOCUMENT, "{}")
    with pytest.raises(RegistryError, match="is no card that this Perennial reads"):
        kept.read(version.run_id)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["99"], "There is no version 99"),
        ([], "No version of"),
        (["2", "--html", "/no/such/file"], "cannot be written"),
    ],
)
def test_what_cannot_be_shown_is_told(world: World, ask: Ask, words: list[str], said: str) -> None:
    told = ask("card", MODEL, *words)
    assert told.code == 20
    assert said in told.said
