"""What a card says, section by section, as plain text: Markdown and HTML only lay it out."""

from collections.abc import Iterator

from tasks.contracts import BatchRows, DecisionOf, ModelCard, TrainingRun
from tasks.provenance.card import measured
from tasks.provenance.card.told import (
    NOT_SAID,
    NOTHING_SAID,
    Section,
    Table,
    is_said,
    known,
    moment,
    said_or_not,
)

MOST_BATCHES = 20
DECISIONS = ("Entry", "At", "Decision", "By", "Why", "Hash of the entry")


def sections_of(card: ModelCard) -> list[Section]:
    """All sections, those first that a reader needs before using an answer."""
    return [
        _purpose(card),
        _limits(card),
        measured.metrics(card),
        measured.fairness(card),
        _data(card),
        measured.explanations(card),
        *measured.samples(card),
        _decisions(card),
        _lineage(card),
        measured.energy(card),
        *_notes(card),
    ]


def _purpose(card: ModelCard) -> Section:
    said = card.said
    uses = (
        ("Intended use", said.intended_use),
        ("Out of scope", said.out_of_scope),
        ("Licence", said.licence),
    )
    told = tuple((name, text or NOT_SAID) for name, text in uses) if is_said(card) else ()
    return Section(
        "purpose",
        "Purpose",
        (said.purpose or card.description, *(() if is_said(card) else (NOTHING_SAID,))),
        fields=(
            *told,
            ("Predicts", f"{card.task}: {_label(card)}"),
            ("Questions to", said.contact or card.owner),
            ("Card made at", moment(card.made_at)),
        ),
    )


def _label(card: ModelCard) -> str:
    return next((column.name for column in card.columns if "label" in column.use.split(", ")), "unknown")


def _limits(card: ModelCard) -> Section:
    measured_ones = card.measured_limits or ("The evaluation found no weak place of its own.",)
    return Section("limits", "Limits", said_or_not(card, card.said.limits), points=measured_ones)


def _data(card: ModelCard) -> Section:
    columns = Table(
        ("Column", "Type", "Use"),
        tuple((each.name, known(each.type), each.use) for each in card.columns),
        "Columns",
    )
    run = card.lineage.run
    if run is None:
        return Section("data", "Data", ("What it was trained on is not known.",), tables=(columns,))
    rows = card.lineage.training_rows
    batches = tuple(map(_batch, (rows.batches if rows else ())[:MOST_BATCHES]))
    tables = (Table(("File or batch", "Joined", "Rows", "Recalled since"), batches, "Largest batches"),)
    return Section("data", "Data", fields=tuple(_rows(run)), tables=(columns, *(tables if batches else ())))


def _batch(found: BatchRows) -> tuple[str, ...]:
    recalled = "yes" if found.recalled else "no"
    return (found.file or found.batch_id, moment(found.ingested_at), str(found.rows), recalled)


def _rows(run: TrainingRun) -> Iterator[tuple[str, str]]:
    snapshot = run.snapshot
    yield "Tables", ", ".join(f"{each.table} v{each.version}" for each in snapshot.pinned)
    yield "As of", moment(snapshot.as_of or snapshot.version_at)
    yield "Training rows", str(snapshot.train.rows)
    yield "Validation rows", str(snapshot.validation.rows)
    yield "Test rows", str(snapshot.test.rows)
    yield "Query", snapshot.query
    yield "SHA-256 of the snapshot", snapshot.sha256
    if snapshot.left_out_batches:
        yield "Batches left out, whose labels were in quarantine", ", ".join(snapshot.left_out_batches)


def _decisions(card: ModelCard) -> Section:
    verdict = (f"The gate said {card.gate.verdict}: {card.gate.why}",) if card.gate else ()
    altered = (
        (f"The ledger was altered at entry {', '.join(map(str, card.broken_entries))}: do not rely on this.",)
        if card.broken_entries
        else ()
    )
    rows = tuple(map(_decision, card.decisions))
    table = Table(DECISIONS, rows, "Entries of the ledger")
    return Section("decisions", "Decisions", (*altered, *verdict), tables=(table,) if rows else ())


def _decision(entry: DecisionOf) -> tuple[str, ...]:
    change = " to ".join(filter(None, (entry.before, entry.after)))
    decided = f"{entry.action}: {change}" if change else entry.action
    return (str(entry.sequence), moment(entry.at), decided, entry.actor, entry.why, entry.entry_hash)


def _lineage(card: ModelCard) -> Section:
    found, run = card.lineage, card.lineage.run
    fields = [
        ("MLflow run", found.run_id),
        ("Airflow run", known(found.dag_run)),
        ("Started by", known(found.started_by)),
        ("Why it was trained", known(found.reason)),
        ("Trained at", moment(found.started_at)),
        ("Parent: the version that served when it was judged", card.parent or "none, it was the first"),
        ("SHA-256 of the archive", known(found.archive.sha256 if found.archive else None)),
    ]
    if run is not None:
        parameters = ", ".join(f"{name}={value}" for name, value in sorted(run.parameters.items()))
        fields += [
            ("Code commit", known(run.code_commit)),
            ("Image", run.image_digest or "none: it ran as a process"),
            ("SHA-256 of the lock file", run.lock_sha256),
            ("Seed", str(run.seed)),
            ("Parameters", known(parameters)),
        ]
    return Section("lineage", "Lineage", fields=tuple(fields))


def _notes(card: ModelCard) -> Iterator[Section]:
    if card.notes:
        yield Section("notes", "What could not be found, and what does not fit", points=card.notes)
