"""The sections of a card that are measured or estimated: metrics, fairness, explanations, energy."""

from collections.abc import Iterator

from tasks.contracts import (
    Energy,
    EvaluationReport,
    ExplainedRow,
    Explanations,
    FairnessGap,
    ModelCard,
    ModelScore,
)
from tasks.provenance.card.told import Section, Table, bounds, interval, said_or_not, signed
from tasks.provenance.numbers import tell_number

NO_GRAMS = "PERENNIAL_CARBON_GRAMS_PER_KWH is not set"
NO_PRICE = "PERENNIAL_PROCESSOR_PRICE_PER_HOUR or, of a GPU, PERENNIAL_GPU_PRICE_PER_HOUR is not set"
NO_EVALUATION = "The ledger has no evaluation of it, so nothing is known of how well it does."


def metrics(card: ModelCard) -> Section:
    """Every metric beside those of what it was compared with, and the primary one on each slice."""
    report = card.evaluation
    if report is None:
        return Section("metrics", "Metrics", (NO_EVALUATION,))
    against = [each for each in (report.champion, report.root, report.baseline) if each is not None]
    said = (
        f"On {report.rows} test rows that training never saw, answered by the packaged archive; each value "
        f"with its 95 % interval. The models are compared by {report.primary_metric}.",
        f"Of single requests half are answered within {_milliseconds(report.candidate.latency_p50_seconds)}, "
        f"and 95 % within {_milliseconds(report.candidate.latency_p95_seconds)}, without the network.",
    )
    return Section("metrics", "Metrics", said, tables=(_overall(report, against), *_slices(report)))


def _overall(report: EvaluationReport, against: list[ModelScore]) -> Table:
    others = [{one.name: interval(one) for one in model.metrics} for model in against]
    rows = [
        (one.name, interval(one), *(other.get(one.name, "not defined") for other in others))
        for one in report.candidate.metrics
    ]
    names = tuple(f"{model.role}: {model.name}" for model in against)
    return Table(("Metric", "This version", *names), tuple(rows))


def _slices(report: EvaluationReport) -> Iterator[Table]:
    rows = [
        (each.column, each.value, str(each.rows), interval(each.metric)) for each in report.candidate.slices
    ]
    if rows:
        columns = ("Column", "Slice", "Rows", report.primary_metric)
        yield Table(columns, tuple(rows), "By slice")


def _milliseconds(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else f"{tell_number(seconds * 1000)} ms"


def fairness(card: ModelCard) -> Section:
    """What people say of it, each gap with its limit, and what the gate said of that."""
    said = said_or_not(card, card.said.fairness)
    report = card.evaluation
    rules = [rule for rule in card.gate.rules if rule.rule.startswith("fairness.")] if card.gate else []
    if report is None or not report.fairness:
        return Section("fairness", "Fairness", (*said, "No gap between groups is limited by gate.fairness."))
    rows = tuple(_gap(each, card.fairness_limits) for each in report.fairness)
    groups = tuple(
        (each.column, each.metric, group.value, str(group.rows), tell_number(group.metric))
        for each in report.fairness
        for group in each.groups
    )
    tables = (
        Table(("Groups of", "Metric", "Largest gap", "Limit"), rows, "Gaps between groups"),
        Table(("Groups of", "Metric", "Group", "Rows", "Value"), groups, "Each group"),
    )
    return Section("fairness", "Fairness", said, points=tuple(rule.why for rule in rules), tables=tables)


def _gap(found: FairnessGap, limits: dict[str, dict[str, float]]) -> tuple[str, ...]:
    limit = limits.get(found.column, {}).get(found.metric)
    gap = found.undefined or bounds(found.gap, found.low, found.high)
    return (found.column, found.metric, gap, "none" if limit is None else tell_number(limit))


def explanations(card: ModelCard) -> Section:
    """On what answers rest, over many rows."""
    found = card.explanations
    if found is None:
        why = card.not_explained or "Nobody has asked its archive yet."
        return Section("explanations", "What answers rest on", (f"Not explained: {why}",))
    rows = tuple((one.name, bounds(one.change, one.low, one.high), str(one.rows)) for one in found.overall)
    told = (found.method, f"The number is {found.number}. {found.asked} instances were answered for it.")
    nothing = () if rows else ("No word or column is in enough rows to say anything of it.",)
    tables = (Table(("Name", "Mean change [95 % interval]", "Rows"), rows),) if rows else ()
    return Section("explanations", "What answers rest on", (*told, *nothing), tables=tables)


def samples(card: ModelCard) -> Iterator[Section]:
    """Some rows one by one; no section where there are none."""
    found: Explanations | None = card.explanations
    if found is None or not found.rows:
        return
    texts = tuple((f"How the text of row {row.row} begins", row.text) for row in found.rows if row.text)
    tables = tuple(_sample(row, found.number) for row in found.rows)
    yield Section("rows", "Rows explained one by one", fields=texts, tables=tables)


def _sample(row: ExplainedRow, number: str) -> Table:
    true = "" if row.label is None else f"; true is {row.label}"
    title = f"Row {row.row}: answered {row.answer}{true}. {tell_number(row.number)} is {number}"
    if all(one.value is None for one in row.effects):
        rows = tuple((one.name, signed(one.change)) for one in row.effects)
        return Table(("Word", "Change"), rows, title)
    values = tuple((one.name, one.value or "", signed(one.change)) for one in row.effects)
    return Table(("Name", "Value", "Change"), values, title)


def energy(card: ModelCard) -> Section:
    """The estimate, and everything that it rests on."""
    title, found = "Energy and cost of its training", card.energy
    if found is None:
        return Section("energy", title, ("Not estimated: MLflow does not say how long the training took.",))
    return Section("energy", title, (_told(found),), fields=tuple(_fields(found)))


def _told(found: Energy) -> str:
    counted = (
        "as the kernel counted them"
        if found.seconds.processor_is_measured
        else ("which is its wall time times the cores that it might have used, for nobody counted them")
    )
    watts = "times the watts that the settings state"
    processor = f"{tell_number(found.seconds.processor)} processor seconds, {counted}"
    joules, seconds = found.seconds.gpu_joules, tell_number(found.seconds.gpu)
    if joules is None:
        spent = f"{processor}, and {seconds} GPU seconds, each {watts}, all times"
    else:
        spent = (
            f"{processor}, {watts}, and {tell_number(joules)} J that the GPUs counted themselves in "
            f"{seconds} s of the training, with what they draw idle and what others computed on them, both "
            "times"
        )
    return (
        f"This is an estimate and no measurement of all electricity: {spent} the overhead of the data "
        "centre. What it took to prepare the data, to evaluate and to serve is not in it."
    )


def _fields(found: Energy) -> Iterator[tuple[str, str]]:
    assumed = found.assumptions
    yield "Energy", f"{tell_number(found.kwh)} kWh"
    yield "Emissions", _amount(found.carbon_grams, "g of CO2 equivalents", NO_GRAMS)
    yield "Cost", _amount(found.price, assumed.currency, NO_PRICE)
    yield "Wall time of the training", f"{tell_number(found.seconds.wall)} s"
    yield "Stated of a busy core", f"{tell_number(assumed.processor_watts)} W"
    if found.seconds.gpu_joules is None:
        yield "Stated of a GPU", f"{tell_number(assumed.gpu_watts)} W"
    else:
        yield "Counted by the GPUs", f"{tell_number(found.seconds.gpu_joules)} J"
    yield "Stated overhead of the data centre", f"times {tell_number(assumed.overhead)}"


def _amount(value: float | None, unit: str, missing: str) -> str:
    return f"not estimated: {missing}" if value is None else f"{tell_number(value)} {unit}".rstrip()
