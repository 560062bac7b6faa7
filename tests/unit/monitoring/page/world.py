"""A check of thirty windows of four columns, with names and values that would like to be markup."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.contracts import DriftDecision, JointNull, Reference, WindowProfile
from tasks.monitoring.decide import Findings, judge
from tasks.monitoring.inputs.columns import look_at_columns
from tasks.monitoring.page.evidence import Earlier
from tasks.monitoring.page.of_check import Checked
from tasks.monitoring.profiles.columns import followed
from tasks.monitoring.profiles.profile import profile
from tasks.monitoring.profiles.scales import set_scales
from tasks.monitoring.states import next_state
from tasks.monitoring.watch import Memory
from tasks.spec import MonitorSpec
from tasks.stores.sql_session import sql_session

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)

SCRIPT = "<script>fetch('https://evil.example/')</script>"
COLUMN = '"><img src=https://evil.example/x.png onerror=alert(1)>'
LONG = "é<b>" * 2500

TYPES: Any = {"amount": "float64", "stars": "int64", COLUMN: "string", "at": "timestamp"}


def rows(count: int, seed: int, *, shift: float = 0.0, missing: float = 0.0, new: float = 0.0) -> pa.Table:
    """Amounts, stars, and names of which one is a script and one has 10,000 characters."""
    rng = np.random.default_rng(seed)
    names = rng.choice(["plain", SCRIPT, LONG, "</svg>"], size=count, p=[0.5, 0.3, 0.15, 0.05])
    named = [
        None if rng.random() < missing else "<i>never seen</i>" if rng.random() < new else str(name)
        for name in names
    ]
    return pa.table(
        {
            "amount": rng.normal(shift, 1, count),
            "stars": rng.integers(1, 6, count),
            COLUMN: pa.array(named, pa.string()),
            "at": pa.array([START] * count, pa.timestamp("us", "UTC")),
        }
    )


def reference(days: int = 40) -> Reference:
    """The reference of so many days before `START`, with 400 rows each."""
    tables = [rows(400, number) for number in range(days)]
    with sql_session() as session:
        session.register("rows", pa.concat_tables(tables))
        columns = followed(TYPES)
        scales = set_scales(session, "rows", columns)
        whole = profile(session, "rows", columns, scales, START - days * DAY, START)
    made = Reference(
        champion_run_id="run-1",
        snapshot_sha256="ab" * 32,
        scales=scales,
        days=(),
        whole=whole,
        joint=JointNull(aucs=(0.5, 0.51, 0.49, 0.52), rows=400),
    )
    profiles = tuple(
        window(made, table, START - (days - number) * DAY) for number, table in enumerate(tables)
    )
    return made.model_copy(update={"days": profiles})


def window(known: Reference, table: pa.Table, start: datetime) -> WindowProfile:
    """The profile of a day's rows on the reference's scales."""
    with sql_session() as session:
        session.register("rows", table)
        return profile(session, "rows", followed(TYPES), known.scales, start, start + DAY)


def checked(*, rules: MonitorSpec | None = None, **change: Any) -> Checked:
    """A check whose last three windows have changed by `change`, as `rows` takes it."""
    rules, known = rules or MonitorSpec(), reference()
    windows = [
        window(known, rows(400, 100 + number, **(change if number >= 27 else {})), START + number * DAY)
        for number in range(30)
    ]
    columns = look_at_columns(known, windows, rules, 0.001)
    findings = Findings(
        window_rows=400,
        bad_share=0.0,
        usable_rows=400,
        reference_rows=400,
        domain_auc=0.7,
        null_auc=0.53,
        signals=columns.signals,
        notes=(f"A note about {COLUMN}.",),
    )
    step = next_state(judge(findings, rules), Memory(), rules)
    decision = DriftDecision(
        model="takings",
        champion_run_id="run-1",
        window_start=windows[-1].start,
        window_end=windows[-1].end,
        window_rows=400,
        reference_rows=400,
        verdict=step.verdict,
        state=step.state,
        follows=step.follows,
        domain_auc=0.7,
        null_auc=0.53,
        threshold=0.65,
        columns=(),
        new_rows=0,
        validation=None,
        why=step.why,
        report_url="/store/drift-12.html",
        signals=columns.signals,
        ledger_hash="cd" * 32,
    )
    earlier = [Earlier(each.start, "quiet", 0.51) for each in windows[:-1]]
    return Checked(decision, findings, rules, known, "ef" * 32, windows, columns, earlier, 0.62)
