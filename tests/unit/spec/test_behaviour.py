"""behaviour.yaml: a wrong one is its own model's clear error, and templates are filled with every word."""

import shutil
from pathlib import Path

import pytest

from tasks.errors import InvalidProject
from tasks.spec import BehaviourTest, PipelineSpec, behaviour_cases, read_specs
from tests.conftest import PROJECT

MODELS = PROJECT / "models"


def spec_with(tests: str, folder: Path, model: str = "review_sentiment") -> PipelineSpec:
    made = folder / model
    made.mkdir(parents=True)
    shutil.copy(MODELS / model / "pipeline.yaml", made)
    (made / "behaviour.yaml").write_text(f"version: 1\ntests:\n{tests}")
    return PipelineSpec.load(made / "pipeline.yaml")


def test_a_wrong_file_takes_away_its_own_model_alone(tmp_path: Path) -> None:
    spec_with("  []", tmp_path, "flight_delay")
    with pytest.raises(InvalidProject):
        spec_with("  - {name: a, kind: invariance, instance: []}", tmp_path)

    [good], [fault] = read_specs(tmp_path)

    assert good.name == "flight_delay"
    assert fault.evidence["model"] == "review_sentiment"
    assert "review_sentiment/behaviour.yaml: tests.0.instance: there is no such field; do you" in str(fault)


PLAIN = "name: a, kind: minimum_functionality, answer: 1"
SAME = "name: a, kind: invariance, instances: [{text: Good}]"


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (f"{PLAIN}, instances: [{{words: 1}}]", "a: words is none of data.features ['text']"),
        (
            f"{PLAIN}, instances: [{{text: 1}}]",
            "its case 1 breaks serving.input_schema: text: 1 is not of type",
        ),
        (PLAIN, "a: give instances, or say of how many test_rows"),
        (f"{PLAIN}, test_rows: 5", "a: what is expected of test rows is their label"),
        (f"{PLAIN}, instances: [{{text: 'A {{b}}'}}], words: {{c: [d]}}", "a: {b} is none of the words c"),
        (f"{PLAIN}, instances: [{{text: '{{c}}'}}], words: {{c: []}}", "a: words.c is empty"),
        (f"{PLAIN}, instances: [{{text: Good}}], at_least: 1", "a: give the expected answer, or at_least"),
        (f"{PLAIN}, instances: [{{text: Good}}], swap: [[a, b]]", "a: changed and swap belong to invariance"),
        (SAME, "a: say what becomes of an instance, by changed or by swap"),
        (f"{SAME}, swap: [[a, b]], answer: 1", "a: answer, at_least and at_most belong to"),
        (f"{SAME}, swap: [[a, b]], direction: up", "a: direction (up or down) belongs to directional"),
        (f"{SAME}, swap: [[a, b]], tolerance: 0.1, of: '1'", "a: of, the class whose probability moves"),
        (
            f"{SAME}, swap: [[a, b]], required_share: 95",
            "required_share: Input should be less than or equal to",
        ),
        (f"{PLAIN.replace('1', '7')}, instances: [{{text: Good}}]", "a: answer 7 is none of the labels 0, 1"),
        (
            f"{SAME}, changed: [{{text: '{{w}}'}}], words: {{w: [{', '.join(map(str, range(1001)))}]}}",
            "a: more than 1000 cases; name fewer",
        ),
    ],
)
def test_a_test_that_cannot_be_run_is_named_with_what_to_do(tmp_path: Path, test: str, said: str) -> None:
    with pytest.raises(InvalidProject) as refusal:
        spec_with(f"  - {{{test}}}", tmp_path)
    assert "behaviour.yaml" in str(refusal.value)
    assert said in str(refusal.value)


def test_two_tests_of_one_name_are_refused(tmp_path: Path) -> None:
    each = f"  - {{{PLAIN}, instances: [{{text: Good}}]}}\n"
    with pytest.raises(InvalidProject, match="tests: a is there twice"):
        spec_with(each * 2, tmp_path)


def test_a_regression_has_numbers_and_a_tolerance(tmp_path: Path) -> None:
    with pytest.raises(InvalidProject, match="a: a number hardly stays the same; say how far"):
        spec_with(
            "  - {name: a, kind: invariance, instances: [{month: 1}], changed: [{month: 2}]}",
            tmp_path,
            "flight_minutes",
        )


def test_tests_in_pipeline_yaml_are_sent_to_their_own_file(tmp_path: Path) -> None:
    spec_with("  []", tmp_path)
    path = tmp_path / "review_sentiment" / "pipeline.yaml"
    path.write_text(path.read_text() + "\nbehaviour: []\n")
    with pytest.raises(InvalidProject, match=r"behaviour: write the tests into the file behaviour\.yaml"):
        PipelineSpec.load(path)


def test_each_combination_of_words_is_a_case_and_unnamed_features_are_those_of_the_example() -> None:
    spec = PipelineSpec.load(MODELS / "flight_delay" / "pipeline.yaml")
    test = BehaviourTest(
        name="a",
        kind="directional",
        instances=({"origin": "{airport}", "departure_minute": "{minute}"},),
        changed=({"destination": "{airport}"},),
        words={"airport": ("JFK", "LGA"), "minute": (390, 400)},
        direction="up",
    )

    cases = list(behaviour_cases(test, spec.data, spec.serving))

    assert [(case["origin"], case["departure_minute"]) for case, _ in cases] == [
        ("JFK", 390),
        ("JFK", 400),
        ("LGA", 390),
        ("LGA", 400),
    ]
    assert all(changed == case | {"destination": case["origin"]} for case, changed in cases)
    assert {case["carrier"] for case, _ in cases} == {"UA"}
