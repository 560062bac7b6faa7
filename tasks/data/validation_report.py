"""The report of a validation as one HTML page that loads nothing, and as JSON."""

import json
from collections.abc import Sequence
from typing import Any

import jinja2

from tasks.contracts import ValidationReport
from tasks.data.suites import Expectation, Outcome
from tasks.stores.files import write_text

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
    report: ValidationReport,
    outcomes: Sequence[Outcome],
    not_applicable: Sequence[Expectation],
    work_url: str,
) -> None:
    """Write `report.html` and `report.json` into `work_url`."""
    page = PAGE.render(report=report, outcomes=outcomes, not_applicable=not_applicable)
    write_text(work_url, "report.html", text=page)
    document = {
        **report.model_dump(mode="json"),
        "expectations": [_described(outcome) for outcome in outcomes],
        "not_applicable": [{"type": skipped.type, "kwargs": skipped.arguments} for skipped in not_applicable],
    }
    write_text(work_url, "report.json", text=json.dumps(document, indent=2))


def _described(outcome: Outcome) -> dict[str, Any]:
    return {
        "type": outcome.expectation.type,
        "kwargs": outcome.expectation.arguments,
        "severity": outcome.expectation.severity,
        "met": outcome.met,
        "unexpected_rows": None if outcome.broken is None else len(outcome.broken),
        "unexpected_share": outcome.share,
        "samples": outcome.samples,
        "message": outcome.message,
    }
