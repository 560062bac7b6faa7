"""The card: what stands in it, that it is text wherever it is shown, and what its estimates rest on."""

import re
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tasks.contracts import EnergyAssumptions, ModelCard, SliceScore
from tasks.provenance.card import CONTENT_POLICY, description_of, html_of, markdown_of, measured
from tasks.provenance.card.energy import energy_of, seconds_of
from tasks.provenance.card.limits import limits_of
from tasks.provenance.card.markdown import LONGEST_DESCRIPTION
from tasks.provenance.card.sections import sections_of
from tasks.spec.training import ResourcesSpec
from tests.unit import cards, judged
from tests.unit.cards import ASSUMED, SECONDS, card, slice_of
from tests.unit.provenance.test_page import LOADING, Reader

BAD = (
    '"><img src=x onerror=alert(1)></td><script>alert(1)</script> ![x](http://evil.example/p) '
    "www.evil.example |"
)


def read(found: ModelCard) -> Reader:
    reader = Reader()
    reader.feed(html_of(found))
    reader.close()
    assert reader.open == []
    return reader


def hostile() -> ModelCard:
    """Each text that people, data or models say is markup."""
    whole = card()
    said = whole.said.model_copy(update=dict.fromkeys(("purpose", "limits", "fairness", "out_of_scope"), BAD))
    lineage = whole.lineage.model_copy(update={"reason": BAD, "dag_run": BAD})
    decisions = tuple(each.model_copy(update={"why": BAD, "actor": BAD}) for each in whole.decisions)
    assert whole.explanations is not None
    [word], [row] = whole.explanations.overall, whole.explanations.rows
    explained = whole.explanations.model_copy(
        update={
            "overall": (word.model_copy(update={"name": BAD}),),
            "rows": (row.model_copy(update={"row": BAD, "answer": BAD}),),
        }
    )
    texts: dict[str, Any] = {"description": BAD, "owner": BAD, "notes": (BAD,), "measured_limits": (BAD,)}
    return card(said=said, lineage=lineage, decisions=decisions, explanations=explained, **texts)


@pytest.mark.parametrize("told", [lambda: read(card()).text, lambda: markdown_of(card()).replace("\\", "")])
def test_a_card_tells_what_it_is_for_can_do_came_from_and_took(
    told: Any,
) -> None:
    text = told()
    for said in (
        "It sorts reviews.", "No decision on people.", "Irony is often missed.", "Apache-2.0",
        "reviews v3", "SELECT 1", "0.9 [0.89, 0.91]", "traffic", "0.05 [0.01, 0.09]", "wonderful", "r00007",
        "A wonderful film.", "answered 1; true is 0. 0.93 is the score of the positive class",
        judged.CHAMPION, judged.RUN, "7" * 64, "9" * 64, "The gate said promote", "0.015 kWh", "6 g of CO2",
        "0.04 EUR", "This is an estimate and no measurement",
    ):  # fmt: skip
        assert said in text, said


def test_what_data_people_and_models_say_is_text_in_the_page() -> None:
    shown = read(hostile())
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(shown.tags)
    assert not (LOADING - {"href"}) & shown.attributes
    assert set(re.findall(r'href="([^"]*)"', html_of(hostile()))) == {
        f"#{each.key}" for each in sections_of(hostile())
    }
    assert shown.text.count("<script>") > 5


@pytest.mark.parametrize("write", [markdown_of, description_of])
def test_what_data_people_and_models_say_is_text_in_markdown(write: Any) -> None:
    rendered = MarkdownIt("gfm-like", {"html": True}).render(write(hostile()))
    assert not re.search(r"<(script|img|a)\b", rendered)
    assert "&lt;script&gt;" in rendered


def test_the_page_allows_its_own_style_and_nothing_else() -> None:
    page = html_of(card())
    assert f'content="{CONTENT_POLICY.replace(chr(39), "&#39;")}"' in page
    assert "unsafe" not in CONTENT_POLICY
    assert page.count("<style>") == 1
    assert " style=" not in page


def test_what_nobody_said_and_nobody_measured_is_told_so() -> None:
    bare = card(
        said=cards.CardSpec(), evaluation=None, gate=None, explanations=None, energy=None, decisions=(),
        not_explained="The archive is gone.", measured_limits=(), broken_entries=(4,),
    )  # fmt: skip
    text = read(bare).text
    assert text.count("belongs into pipeline.yaml, under card.") == 1
    some = read(card(said=cards.CardSpec(limits="Irony is missed."))).text
    assert some.count("Nobody has said it: it belongs into pipeline.yaml, under card.") == 4
    assert judged.SPEC.description in text, "in the place of a purpose"
    assert "The ledger has no evaluation of it" in text
    assert "Not explained: The archive is gone." in text
    assert "Not estimated: MLflow does not say how long the training took." in text
    assert "The ledger was altered at entry 4" in text


def test_what_mlflow_shows_is_short_enough_for_its_database_and_has_no_single_rows() -> None:
    long = card(said=cards.SAID.model_copy(update={"purpose": "x" * 3900}))
    for found in (card(), long, hostile()):
        assert len(description_of(found)) <= LONGEST_DESCRIPTION
        assert "r00007" not in description_of(found)
        assert description_of(found).endswith("`card/card.html` is a page.\n")
    assert "Purpose" in description_of(long)


def test_a_card_is_the_same_after_it_was_kept() -> None:
    whole = card()
    assert ModelCard.model_validate_json(whole.model_dump_json()) == whole


def test_weak_places_are_named_by_the_evaluation() -> None:
    found = limits_of(
        judged.evaluation(scored=_scored(slice_of("imdb", 700, 0.92), slice_of("traffic", 40, 0.81)))
    )
    assert found[0].startswith("It is worst where source is traffic: accuracy 0.81 [0.78, 0.84], and 0.9 [")
    assert found[1] == "Fewer than 100 test rows say how it does where source is traffic (40)."
    assert limits_of(judged.evaluation(scored=_scored(slice_of("imdb", 700, 0.9)))) == ()


def _scored(*slices: SliceScore) -> Any:
    return judged.score("candidate", 0.9, slices=slices)


# --- energy -------------------------------------------------------------------------------------------------


def test_energy_is_measured_seconds_times_stated_watts_and_overhead() -> None:
    found = energy_of(SECONDS, ASSUMED)
    assert found.kwh == pytest.approx(3600 * 10 * 1.5 / 3.6e6)
    assert found.carbon_grams == pytest.approx(found.kwh * 400)
    assert found.price == pytest.approx(0.04)
    on_gpu = energy_of(SECONDS.model_copy(update={"gpu": 1800.0}), ASSUMED)
    assert on_gpu.kwh == pytest.approx((3600 * 10 + 1800 * 300) * 1.5 / 3.6e6)
    assert on_gpu.price == pytest.approx(0.04 + 1)


def test_what_nobody_stated_is_not_estimated() -> None:
    bare = EnergyAssumptions(processor_watts=10, gpu_watts=300, overhead=1)
    found = energy_of(SECONDS, bare)
    assert (found.carbon_grams, found.price) == (None, None)
    half = bare.model_copy(update={"processor_price_per_hour": 0.04})
    assert energy_of(SECONDS, half).price == pytest.approx(0.04), "a GPU that was not used needs no price"
    assert energy_of(SECONDS.model_copy(update={"gpu": 1.0}), half).price is None


def test_what_gpus_counted_themselves_takes_the_place_of_the_watts_that_are_stated_of_them() -> None:
    on_gpu = SECONDS.model_copy(update={"processor": 0.0, "gpu": 60.0})
    counted = on_gpu.model_copy(update={"gpu_joules": 7200.0})
    stated = EnergyAssumptions(processor_watts=10, gpu_watts=300, overhead=1)

    assert (energy_of(on_gpu, stated).kwh, energy_of(counted, stated).kwh) == (300 * 60 / 3.6e6, 7200 / 3.6e6)

    told = {joules: energy_of(found, stated) for joules, found in ((None, on_gpu), (7200, counted))}
    shown = {joules: measured.energy(card(energy=found)) for joules, found in told.items()}
    assert "7,200 J that the GPUs counted themselves" in shown[7200].texts[0]
    assert ("Counted by the GPUs", "7,200 J") in shown[7200].fields
    assert ("Stated of a GPU", "300 W") in shown[None].fields


@pytest.mark.parametrize(("device", "joules"), [("cuda:0", 31.5), ("cpu", None)])
def test_joules_are_of_a_training_that_was_on_a_gpu(device: str, joules: float | None) -> None:
    tags = {"perennial.device": device, "perennial.gpu_joules": "31.500"}
    assert seconds_of(60.0, tags, ResourcesSpec()).gpu_joules == joules


@pytest.mark.parametrize(
    ("tags", "processor", "gpu", "measured"),
    [
        ({"perennial.processor_seconds": "12.5", "perennial.device": "cpu"}, 12.5, 0, True),
        ({"perennial.processor_seconds": "12.5", "perennial.device": "cuda:0"}, 12.5, 60, True),
        ({}, 120, 0, False),
        ({"perennial.processor_seconds": "-1"}, 120, 0, False),
        ({"perennial.processor_seconds": "many"}, 120, 0, False),
        ({"perennial.processor_seconds": "inf"}, 120, 0, False),
    ],
)
def test_seconds_that_nobody_counted_are_bounded_by_wall_time_and_cores(
    tags: dict[str, str], processor: float, gpu: float, measured: bool
) -> None:
    found = seconds_of(60.0, tags, ResourcesSpec(cpus=2))
    assert (found.processor, found.gpu, found.processor_is_measured) == (processor, gpu, measured)
