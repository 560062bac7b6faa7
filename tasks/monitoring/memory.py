"""What the ledger remembers of a model's watch and of its retrains, counted from its entries.

Entries are taken in the order of the ledger, not of their times: a clock that was set back does not bring an
old state back. What counts by time, the budget, counts an entry of the future, too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tasks.contracts import Action, LedgerEntry, State
from tasks.ledger import entries as ledger
from tasks.monitoring.states import AMONG
from tasks.monitoring.watch import UNJUDGED, Level, Memory
from tasks.stores.database import retrain_requests as requests

MONTH = timedelta(days=30)
CHECKS_WITHIN = timedelta(days=366)
"""Older checks say nothing of today; a year of them is read in a tenth of a second."""

Window = tuple[datetime, datetime]

FOUND: dict[str, Level] = {
    "quiet": "none",
    "suspicious": "suspicious",
    "too_few": "too_few",
    "cannot_tell": "cannot_tell",
    "incident": "incident",
}
"""The level of a check whose entry, of an earlier Perennial, does not say it; others were an alarm."""
PERSON = ", asked for by "


@dataclass(frozen=True)
class Retrain:
    """A training that a drift decision led to.

    Attributes:
        seconds: What it cost; 0 while that is not known.
        started: False where nothing had started it.
        promoted: Whether its candidate was; None while there is none that was judged.
        effect: The newest report of what it came to.
        rebuild: Whether a person was asked for a full rebuild, and agreed.
    """

    granted: LedgerEntry
    seconds: float = 0.0
    started: bool = True
    promoted: bool | None = None
    effect: LedgerEntry | None = None
    rebuild: bool = False

    @property
    def run_id(self) -> str:
        return str(self.granted.evidence["train_run_id"])

    @property
    def came_to_nothing(self) -> bool | None:
        """Whether its candidate was refused or did not help; None where it had none."""
        if self.promoted is None:
            return None
        return not self.promoted or (self.effect is not None and self.effect.after == "did_not_help")

    @property
    def is_reported(self) -> bool:
        """Whether the last word is written on it: a candidate that had not served may serve yet."""
        return self.effect is not None and bool(self.effect.evidence["found"].get("served", True))


@dataclass(frozen=True)
class Record:
    """A model's entries, sorted by what they are about, each kind oldest first."""

    checks: list[LedgerEntry] = field(default_factory=list)
    retrains: list[Retrain] = field(default_factory=list)
    closed: LedgerEntry | None = None
    judged: list[LedgerEntry] = field(default_factory=list)


def remember(
    connection: sa.Connection,
    model: str,
    champion_run_id: str,
    *,
    window: Window | None = None,
    now: datetime | None = None,
) -> Memory:
    """What the ledger remembers before a check, as the caller's transaction sees it.

    Args:
        champion_run_id: The MLflow run of the version that serves.
        window: What the check looks at, [start, end): a check of the same window, of a try before, is left
            out.
    """
    now = now or datetime.now(UTC)
    read = _read(connection, model, now)
    opened = connection.execute(requests.select().where(requests.c.open_model == model)).first()
    memory = memory_of(
        read, champion_run_id, open_training=opened.train_run_id if opened else None, window=window, now=now
    )
    return replace(memory, model=model)


def record_of(connection: sa.Connection, model: str) -> Record:
    """A model's entries as the caller's transaction sees them, sorted by what they are about."""
    return sort(_read(connection, model, datetime.now(UTC)))


def _read(connection: sa.Connection, model: str, now: datetime) -> list[LedgerEntry]:
    kinds = (Action.RETRAIN, Action.GATE, Action.EFFECT, Action.BREAKER)
    return [
        *ledger.newest_first(connection, model, *kinds),
        *ledger.newest_first(connection, model, Action.DRIFT, since=now - CHECKS_WITHIN),
    ]


def memory_of(
    entries: Iterable[LedgerEntry],
    champion_run_id: str,
    *,
    open_training: str | None,
    window: Window | None,
    now: datetime,
) -> Memory:
    """Count what a model's entries say; a pure function.

    Args:
        entries: Of the model, in any order.
        open_training: The Airflow run that holds the model's lock.
    """
    record = sort(entries)
    checks = list(_checks(record, champion_run_id, window))
    levels = [level for entry in checks if (level := _level(entry)) not in UNJUDGED]
    recent = [each for each in record.retrains if each.started and now - each.granted.at < MONTH]
    brought = any(_promotes(entry, champion_run_id, record.retrains) for entry in record.judged)
    last = max((each.granted.at for each in record.retrains if each.started), default=None)
    return Memory(
        state=_state(checks[0]) if checks else "quiet",
        levels=tuple(levels[: AMONG - 1]),
        checks_since_retrain=len(levels) if brought else None,
        open_training=open_training,
        seconds_since_grant=None if last is None else (now - last).total_seconds(),
        runs=len(recent),
        seconds=sum(each.seconds for each in recent),
        dearest_seconds=max((each.seconds for each in recent), default=0.0),
        failures_in_a_row=len(failures(record)),
        light_in_a_row=_light_in_a_row(record),
        breaker_closed_by=record.closed.actor if record.closed else None,
    )


def sort(entries: Iterable[LedgerEntry]) -> Record:
    """Sort a model's entries by what they are about."""
    in_order = sorted(entries, key=lambda entry: entry.sequence)
    closed = [each for each in in_order if each.action == Action.BREAKER and each.after == "closed"]
    judged = [each for each in in_order if each.action == Action.GATE]
    return Record(
        checks=[each for each in in_order if each.action == Action.DRIFT],
        retrains=list(_retrains(in_order, judged)),
        closed=closed[-1] if closed else None,
        judged=judged,
    )


def promotion_of(record: Record, retrain: Retrain) -> LedgerEntry | None:
    """The gate's entry that promoted a retrain's candidate; None where it was not promoted."""
    own = {
        _run_of(each)
        for each in record.judged
        if each.evidence.get("circumstances", {}).get("drift") == retrain.granted.entry_hash
    }
    promoted = (each for each in record.judged if each.after == "promote" and _run_of(each) in own)
    return next(promoted, None)


def since_promotion(record: Record, run_id: str) -> tuple[Level, ...]:
    """The levels of the checks that judged a window of this champion, the oldest first."""
    levels = [_level(entry) for entry in _checks(record, run_id, None)]
    return tuple(level for level in reversed(levels) if level not in UNJUDGED)


def failures(record: Record) -> list[Retrain]:
    """The retrains in a row that came to nothing since the breaker was closed, the newest first."""
    since = record.closed.sequence if record.closed else 0
    found: list[Retrain] = []
    for each in reversed(record.retrains):
        if each.granted.sequence < since or each.came_to_nothing is False:
            break
        if each.came_to_nothing:
            found.append(each)
    return found


def _retrains(in_order: Sequence[LedgerEntry], judged: Sequence[LedgerEntry]) -> Iterator[Retrain]:
    ends = {each.before: each for each in in_order if each.action == Action.RETRAIN and each.before}
    effects = {each.before: each for each in in_order if each.action == Action.EFFECT}
    promoted = {_run_of(each) for each in judged if each.after == "promote"}
    candidates = {each.evidence.get("circumstances", {}).get("drift"): _run_of(each) for each in judged}
    for entry in in_order:
        if (
            entry.action != Action.RETRAIN
            or entry.after != "granted"
            or not entry.evidence.get("drift_decision")
        ):
            continue
        end, candidate = ends.get(entry.evidence["train_run_id"]), candidates.get(entry.entry_hash)
        yield Retrain(
            entry,
            seconds=float(end.evidence.get("seconds", 0.0)) if end else 0.0,
            started=end is None or end.after != "not started",
            promoted=None if candidate is None else candidate in promoted,
            effect=effects.get(entry.entry_hash),
            rebuild=entry.evidence.get("follows") == "rebuild",
        )


def _light_in_a_row(record: Record) -> int:
    by_hand = [each.sequence for each in record.judged if _is_a_persons(each)]
    since, count = max(by_hand, default=0), 0
    for each in reversed(record.retrains):
        if each.granted.sequence < since or (each.promoted and each.rebuild):
            break
        count += bool(each.promoted)
    return count


def _is_a_persons(judged: LedgerEntry) -> bool:
    """Whether a training that a person had started was promoted."""
    drift = judged.evidence.get("circumstances", {}).get("drift")
    return judged.after == "promote" and not drift and PERSON in judged.actor


def _promotes(judged: LedgerEntry, run_id: str, retrains: Sequence[Retrain]) -> bool:
    """Whether the run came from a retrain and was promoted."""
    grants = {each.granted.entry_hash for each in retrains}
    drift = judged.evidence.get("circumstances", {}).get("drift")
    return judged.after == "promote" and _run_of(judged) == run_id and drift in grants


def _run_of(judged: LedgerEntry) -> str:
    return str(judged.evidence["decision"]["run_id"])


def _checks(record: Record, champion_run_id: str, window: Window | None) -> Iterator[LedgerEntry]:
    """The champion's checks, the newest first, one a window: a window that is judged again counts once."""
    seen = set() if window is None else {window}
    for entry in reversed(record.checks):
        if entry.before == champion_run_id and (its := _window(entry)) not in seen:
            seen.add(its)
            yield entry


def _window(entry: LedgerEntry) -> Window:
    decision = entry.evidence["decision"]
    start, end = (datetime.fromisoformat(decision[name]) for name in ("window_start", "window_end"))
    return start, end


def _level(entry: LedgerEntry) -> Level:
    level: Level | None = entry.evidence.get("check", {}).get("level")
    return level or FOUND.get(str(entry.after), "alarm")


def _state(entry: LedgerEntry) -> State:
    """The state after a check; of an entry of an earlier Perennial, which had none, what its verdict says."""
    state: State | None = entry.evidence["decision"].get("state")
    return state or ("alarm" if _level(entry) == "alarm" else "quiet")
