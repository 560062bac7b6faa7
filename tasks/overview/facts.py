"""What is shown of models: plain frozen data."""

from dataclasses import dataclass
from datetime import datetime

from tasks.contracts import Silence, Trouble
from tasks.overview.words import Tone
from tasks.release.agreement import Disagreement


@dataclass(frozen=True)
class Score:
    """A metric on the frozen test rows, with its 95 % interval.

    Attributes:
        rows: How many rows it was measured on; None where the entry does not say.
    """

    metric: str
    value: float
    low: float
    high: float
    rows: int | None = None


@dataclass(frozen=True)
class Served:
    """The version that serves by the ledger.

    Attributes:
        why: Why it serves, as the entry of the switch says.
        promoted_why: Why the gate promoted it; None where its entry is not among those that were read.
        entry, gate_entry: The numbers of these entries.
    """

    version: str
    run_id: str
    archive_sha256: str
    since: datetime
    by: str
    why: str
    entry: int
    promoted_why: str | None = None
    gate_entry: int | None = None


@dataclass(frozen=True)
class Watch:
    """What the newest drift check said.

    Attributes:
        state: Of the drift machine after it.
        page_url: Of the check's own page, where the store keeps it.
    """

    state: str
    state_words: str
    tone: Tone
    verdict: str
    why: str
    at: datetime
    entry: int
    page_url: str | None = None


@dataclass(frozen=True)
class Split:
    """How requests are divided while a release or a comparison is under way.

    Attributes:
        share: Of the requests that the second version answers, in [0, 1].
        stage: `comparison` for A/B.
    """

    version: str
    share: float
    stage: str
    since: datetime
    says: str


@dataclass(frozen=True)
class Decided:
    """An entry of the ledger in a few words."""

    sequence: int
    at: datetime
    title: str
    tone: Tone
    why: str
    actor: str
    action: str


@dataclass(frozen=True)
class Judged:
    """One verdict of the gate: what a candidate scored."""

    at: datetime
    entry: int
    verdict: str
    run_id: str
    score: Score | None
    champion: Score | None


@dataclass(frozen=True)
class Checked:
    """One drift check: the evidence, and what it had to exceed."""

    at: datetime
    entry: int
    verdict: str
    state: str
    value: float | None
    threshold: float | None
    rows: int


@dataclass(frozen=True)
class Card:
    """A model at a glance.

    Attributes:
        score: Of the version that serves.
        judged: The gate's verdicts, oldest first.
        troubles: What somebody should know, the gravest first.
        unreadable: Why nothing else is known of it; empty where its entries can be understood.
        differs: Where what is there is not what the ledger says, so that the card may be wrong.
    """

    model: str
    served: Served | None = None
    score: Score | None = None
    watch: Watch | None = None
    split: Split | None = None
    last: Decided | None = None
    judged: tuple[Judged, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    silences: tuple[Silence, ...] = ()
    unreadable: str = ""
    differs: tuple[Disagreement, ...] = ()

    def silence_of(self, reason: str) -> Silence | None:
        """The silence that keeps a trouble's alerts back the longest; None where it is told."""
        holding = [each for each in self.silences if each.of in {reason, None}]
        return max(holding, key=lambda each: each.until, default=None)


@dataclass(frozen=True)
class Comparison:
    """When what is there was last held against the ledger, which is what the pages show.

    Attributes:
        at: None where it never was.
        is_late: Whether that is so long ago that somebody should look why.
    """

    at: datetime | None
    is_late: bool


@dataclass(frozen=True)
class Version:
    """A version of a model, as far as the ledger knows it.

    Attributes:
        says: What became of it.
        tables: The versions of the tables that it was trained on, such as `reviews v3`.
    """

    number: str
    run_id: str
    archive_sha256: str
    serves: bool
    first_at: datetime
    says: str
    score: Score | None
    gate_entry: int | None
    tables: tuple[str, ...] = ()
    snapshot_sha256: str = ""
    started_by: str = ""
