"""The tests of behaviour.yaml, on the archives that would serve."""

from pathlib import Path
from typing import Any

from tasks.evaluation import evaluate
from tasks.gate.decide import decide
from tasks.spec import BehaviourTest
from tests.steps.evaluated import SPEC, request, version
from tests.unit import judged


def test_behaviour_is_tried_on_the_archive_and_a_failing_case_stops_it(home: Path, archives: Any) -> None:
    """The archive answers the first figure of a text, and knows no texts without one. The champion takes no
    notice of a swap.
    """
    tests = (
        BehaviourTest(name="one", kind="minimum_functionality", instances=({"text": "1 7"},), answer=1),
        BehaviourTest(name="same", kind="invariance", test_rows=30, swap=(("0", "1"),), required_share=0.5),
        BehaviourTest(
            name="up",
            kind="directional",
            instances=({"text": "{figure} 7"}, {"text": "x 7"}),
            changed=({"text": "1 7"},),
            words={"figure": (0, 1)},
            direction="up",
        ),
    )
    candidate = archives(
        "figures",
        """
        if not text[0].isdigit():
            context.set_response_status(code=400, idx=index)
            return {"error": "no figure"}
        return {"prediction": int(text[0]), "score": 0.1 + 0.8 * int(text[0])}
        """,
    )
    spec = SPEC.model_copy(update={"behaviour": tests})

    champion = version(archives("steady", 'return {"prediction": 1, "score": 0.9}'))
    report = evaluate.compare(request(home, candidate, spec=spec), champion)

    found = {each.name: (each.cases, each.passed) for each in report.behaviour}
    assert found == {"one": (1, 1), "same": (30, 0), "up": (2, 1)}
    beside = {each.name: each.champion.passed for each in report.behaviour if each.champion}
    assert beside == {"same": 30}, "of the cases of test rows alone"
    decision = decide(report, spec.gate, candidate, judged.LOOK)
    assert decision.verdict == "reject"
    failed = [rule.rule for rule in decision.rules if not rule.passed and "behaviour" in rule.rule]
    assert failed == ["behaviour.same", "behaviour.up"]
    assert '{"text": "x 7"}, changed to {"text": "1 7"}: The handler refused it: no figure' in decision.why
