"""The report of a validation as one HTML page that loads nothing, and as JSON."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import jinja2

from tasks.contracts import FailedExpectation, ValidationReport
from tasks.data.findings import Outcome
from tasks.data.suites import Expectation, Suite
from tasks.stores.files import at, write_text

NO_ROWS = FailedExpectation(
    expectation="rows",
    column=None,
    arguments={},
    unexpected_rows=None,
    unexpected_share=None,
    message="There are no rows, and nothing can be said of nothing.",
)

PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
{% set verdict = "passed" if report.success else "failed" %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.suite }}: {{ verdict }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
body { color: #1d2530; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #d5dae0; }
code { overflow-wrap: anywhere; }
.passed { color: #11692e; } .failed { color: #ab1f1f; } .note { color: #586474; }
strong { white-space: nowrap; }
</style>
</head>
<body>
<h1>Suite {{ report.suite }}: <span class="{{ verdict }}">{{ verdict }}</span></h1>
<p>{{ report.rows }} rows, {{ report.evaluated }} expectations evaluated,
{{ report.failed | length }} not met.
Suite file <code>sha256:{{ report.suite_sha256 }}</code>.</p>
{% for failure in report.failed if failure.expectation == "rows" %}
<p class="failed">{{ failure.message }}</p>
{% endfor %}
<table>
<thead>
<tr><th>Verdict</th><th>Expectation</th><th>What was found</th><th>Values that break it</th></tr>
</thead>
<tbody>
{% for outcome in outcomes %}
{% set expectation = outcome.expectation %}
<tr>
<td><strong class="{{ 'passed' if outcome.met else 'failed' }}">
{{- "met" if outcome.met else "not met" }}</strong>
{% if not expectation.required %}
<br><span class="note">{{ expectation.severity }} only</span>
{% endif %}
</td>
<td>{{ expectation }}<br><code class="note">{{ expectation.arguments | tojson }}</code></td>
<td>{{ outcome.message }}</td>
<td>
{% for sample in outcome.samples %}
<code>{{ sample }}</code>{{ "," if not loop.last }}
{% endfor %}
</td>
</tr>
{% endfor %}
</tbody>
</table>
{% if not_applicable %}
<h2>Not applicable</h2>
<p>These rows do not have all columns of the table, so these expectations say nothing about them:</p>
<ul>
{% for expectation in not_applicable %}
<li>{{ expectation }} <code class="note">{{ expectation.arguments | tojson }}</code></li>
{% endfor %}
</ul>
{% endif %}
</body>
</html>
""")


def write_report(
    suite: Suite,
    outcomes: Sequence[Outcome],
    rows: int,
    not_applicable: Sequence[Expectation],
    work_url: str,
) -> ValidationReport:
    """Report on some rows, as an HTML page and as JSON in `work_url`.

    Both are named by what they say: a run or a decision may point to the report of an earlier try.
    """
    report = _report_of(suite, outcomes, rows)
    page = PAGE.render(report=report, outcomes=outcomes, not_applicable=not_applicable)
    name = f"report-{hashlib.sha256(page.encode()).hexdigest()[:16]}"
    urls = {"url": str(at(work_url, f"{name}.html")), "json_url": str(at(work_url, f"{name}.json"))}
    report = report.model_copy(update=urls)
    document = {
        **report.model_dump(mode="json"),
        "expectations": [_description(outcome) for outcome in outcomes],
        "not_applicable": [{"type": skipped.type, "kwargs": skipped.arguments} for skipped in not_applicable],
    }
    write_text(report.url, text=page)
    write_text(report.json_url, text=json.dumps(document, indent=2))
    return report


def _report_of(suite: Suite, outcomes: Sequence[Outcome], rows: int) -> ValidationReport:
    """The report, before it lies anywhere."""
    failed = [_failure(outcome) for outcome in outcomes if not outcome.met and outcome.expectation.required]
    if rows == 0:
        failed = [NO_ROWS]
    return ValidationReport(
        suite=suite.name,
        suite_sha256=suite.sha256,
        success=not failed,
        rows=rows,
        evaluated=len(outcomes),
        failed=tuple(failed),
        url="",
        json_url="",
    )


def _failure(outcome: Outcome) -> FailedExpectation:
    expectation = outcome.expectation
    return FailedExpectation(
        expectation=expectation.type,
        column=", ".join(expectation.columns) or None,
        arguments=expectation.arguments,
        unexpected_rows=outcome.broken_rows,
        unexpected_share=outcome.share,
        samples=outcome.samples,
        message=outcome.message,
    )


def _description(outcome: Outcome) -> dict[str, Any]:
    return {
        "type": outcome.expectation.type,
        "kwargs": outcome.expectation.arguments,
        "severity": outcome.expectation.severity,
        "met": outcome.met,
        "unexpected_rows": outcome.broken_rows,
        "unexpected_share": outcome.share,
        "samples": outcome.samples,
        "message": outcome.message,
    }
