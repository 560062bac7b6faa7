"""OpenLineage's events from Airflow, off unless a setting says where they go."""

import json
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

SEND_SECONDS = 2
LONGEST_SECONDS = 3
"""A task waits for its event no longer than this, whatever the collector does."""

HOUSEKEEPING = "reconcile_ledger|tidy_.*"
SILENT = (
    {"scope": {"dag_id": HOUSEKEEPING}, "match_mode": "regex", "controls": {"emit_dag_events": False}},
    {
        "scope": {
            "dag_id": HOUSEKEEPING,
            "task_id": "look|send_alerts|handed_over|start_release|faults|remove_left_behind",
        },
        "match_mode": "regex",
        "controls": {"emit": False},
    },
)
"""What looks each minute whether there is something to do, and nearly always finds nothing, tells nothing."""


def _sendable(url: str) -> str:
    if url and not _is_collector(url) and not _file_of(url):
        raise ValueError(
            "is no place that events of OpenLineage can be sent to: give http(s)://host[:port] of a "
            "collector, or file:///folder/lineage.jsonl"
        )
    if _is_collector(url) and "@" in urlsplit(url).netloc:
        raise ValueError(
            "has a login in it, which Airflow's logs would show: leave it out, and give the collector's "
            "token as PERENNIAL_OPENLINEAGE_KEY"
        )
    return url


LineageUrl = Annotated[str, AfterValidator(_sendable)]


def options(url: str, key: str, namespace: str) -> dict[str, object]:
    """Airflow's section `openlineage`.

    Args:
        url: A collector, or a file; empty to switch all of it off, so that Airflow imports none of it.
        key: What the collector asks for; empty where it asks for nothing.
        namespace: Of the jobs.
    """
    if not url:
        return {"disabled": True}
    return {
        "disabled": False,
        "namespace": namespace,
        "transport": json.dumps(_to_file(url) if _file_of(url) else _to_collector(url, key)),
        "emission_policy": json.dumps(SILENT),
        # In a fork, which is the default, the task's connection to its supervisor is open twice.
        "execute_in_thread": True,
        "execution_timeout": LONGEST_SECONDS,
    }


def _to_file(url: str) -> dict[str, object]:
    return {"type": "file", "log_file_path": _file_of(url), "append": True}


def _to_collector(url: str, key: str) -> dict[str, object]:
    """No second try: the task would wait for it, and the next event comes soon."""
    auth = {"auth": {"type": "api_key", "apiKey": key}} if key else {}
    retry = {"total": 0, "connect": 0, "read": 0}
    return {"type": "http", "url": f"{url.rstrip('/')}/", "timeout": SEND_SECONDS, "retry": retry, **auth}


def _is_collector(url: str) -> bool:
    """A path may follow the host; `api/v1/lineage` is put behind it."""
    try:
        parts = urlsplit(url)
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return complete and parts.scheme in {"http", "https"} and not parts.query and not parts.fragment


def _file_of(url: str) -> str:
    """The path; empty where it is no file's."""
    named = url.removeprefix("file://")
    return unquote(named) if named.startswith("/") and named != url and not named.endswith("/") else ""
