"""What a team says of how its model has to behave, in models/<name>/behaviour.yaml.

Source of the three kinds: Ribeiro, Wu, Guestrin and Singh, Beyond Accuracy: Behavioral Testing of NLP Models
with CheckList, ACL 2020.
"""

from collections.abc import Iterator
from math import prod
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tasks.spec.base import FiniteFloat, Name, Share, Spec
from tasks.spec.json_schema import JsonObject
from tasks.spec.templates import Word, Words, fill, placeholders

MOST_CASES = 1000
"""Of one test: more are no file that a person reviews."""

Instance = JsonObject
Term = Annotated[str, Field(min_length=1, max_length=100)]


class BehaviourTest(Spec):
    """Cases of one kind, what is expected of each, and how many of them have to be so.

    Attributes:
        name: Its name, which the gate's verdict gives.
        kind: `minimum_functionality`: the answer is the expected one. `invariance`: a change of the instance
            leaves the answer as it is. `directional`: a change moves it the expected way.
        instances: What is asked. Features that an instance does not name are those of
            `serving.input_example`. In a text, `{word}` stands for each of the `words` of that name in turn;
            a value that is `{word}` alone takes their type too.
        test_rows: In place of instances so many of the model's test rows, of those that `swap` changes where
            it is there: a random sample that stays nearly the same one when rows join.
        changed: What an instance is changed to: the features that become others, with the same words.
        swap: Terms that take each other's place in every text, as whole words, in upper or lower case.
        words: What the placeholders stand for; each combination is a case.
        answer: The label that is expected.
        at_least: The least number that is expected, of a regression.
        at_most: The largest number that is expected, of a regression.
        direction: Which way the score of the positive class moves; of a regression the prediction, of several
            classes the probability of the class `of`.
        by: How far at least; 0: not the other way.
        of: The class whose probability is looked at.
        tolerance: How far the same number may move where nothing should change; None where the label alone
            counts.
        required_share: Of the cases, how many have to pass; of test rows as far as their number can tell.
    """

    name: Name
    kind: Literal["minimum_functionality", "invariance", "directional"]
    instances: tuple[Instance, ...] = ()
    test_rows: int | None = Field(default=None, ge=1, le=MOST_CASES)
    changed: tuple[Instance, ...] = ()
    swap: tuple[tuple[Term, Term], ...] = ()
    words: Words = Field(default_factory=dict)
    answer: Word | None = None
    at_least: FiniteFloat | None = None
    at_most: FiniteFloat | None = None
    direction: Literal["up", "down"] | None = None
    by: FiniteFloat = 0.0
    of: str | None = None
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    required_share: Share = 1.0

    @model_validator(mode="after")
    def _says_what_it_asks(self) -> "BehaviourTest":
        faults = [*self._faults_of_cases(), *self._faults_of_expectation()]
        if faults:
            raise ValueError("; ".join(f"{self.name}: {fault}" for fault in faults))
        return self

    def _faults_of_cases(self) -> Iterator[str]:
        if bool(self.instances) == (self.test_rows is not None):
            yield "give instances, or say of how many test_rows"
        if self.test_rows is not None and self.kind == "minimum_functionality":
            yield "what is expected of test rows is their label; name instances for minimum_functionality"
        used = {name for part in (*self.instances, *self.changed) for name in placeholders(part)}
        if self.words and (unknown := sorted(used - set(self.words))):
            yield f"{{{unknown[0]}}} is none of the words {', '.join(self.words)}"
        if empty := sorted(name for name, each in self.words.items() if not each):
            yield f"words.{empty[0]} is empty"
        combinations = prod(max(1, len(each)) for each in self.words.values())
        if len(self.instances) * max(1, len(self.changed)) * combinations > MOST_CASES:
            yield f"more than {MOST_CASES} cases; name fewer instances or words"

    def _faults_of_expectation(self) -> Iterator[str]:
        bounds = self.at_least is not None or self.at_most is not None
        changes = bool(self.changed) + bool(self.swap)
        if self.kind == "minimum_functionality":
            if (self.answer is None) != bounds:
                yield "give the expected answer, or at_least and at_most for a number"
            if changes:
                yield "changed and swap belong to invariance and directional"
            return
        if changes != 1:
            yield "say what becomes of an instance, by changed or by swap"
        if self.answer is not None or bounds:
            yield "answer, at_least and at_most belong to minimum_functionality"
        if (self.direction is None) == (self.kind == "directional"):
            yield "direction (up or down) belongs to directional, and has to be there"

    def filled(self) -> Iterator[tuple[dict[str, Any], dict[str, Any] | None]]:
        """Each instance with its words and, where there are some, each change of it."""
        for instance in self.instances:
            for change in self.changed or (None,):
                yield from fill(instance, change, self.words)


class BehaviourFile(Spec):
    """A model's behaviour.yaml.

    Attributes:
        version: Of this file's form.
        tests: The tests, each with a name of its own.
    """

    version: Literal[1]
    tests: tuple[BehaviourTest, ...]

    @model_validator(mode="after")
    def _names_are_there_once(self) -> "BehaviourFile":
        names = [test.name for test in self.tests]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"tests: {', '.join(double)} is there twice; give each test a name of its own")
        return self
