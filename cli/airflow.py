"""Airflow's public REST API, as far as the command needs it: start a run, follow it, read its results."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from cli.exits import LoginRefused, PlatformAway
from cli.unreachable import why_unreachable
from tasks.errors import InvalidRequest, PerennialError

TIMEOUT_SECONDS = (5.0, 60.0)
PAGE = 100
API = "/api/v2"
BUSY = 500  # Airflow's answer where other writers kept its SQLite for too long
ALREADY_THERE = 409


class AirflowRefused(PerennialError):
    """Airflow answered with an error that is none of the command's own."""


class Airflow:
    """A client that logs in when it has to, and once more when its token has ended.

    Args:
        url: Where Airflow answers.
        token: Gives a bearer token: a function of `log_in`, or of one that somebody has.
        retries: How often a call is repeated where Airflow is busy or away; each of them says the same twice.
    """

    def __init__(self, url: str, token: Callable[[], str], *, retries: int = 3) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._session = requests.Session()
        again = Retry(
            total=retries,
            backoff_factor=0.2,
            status_forcelist={BUSY},
            allowed_methods=None,
            raise_on_status=False,
        )
        self._session.mount(self.url, HTTPAdapter(max_retries=again))

    def get(self, path: str, *, below: str = API, **parameters: Any) -> Any:
        """The JSON of `path`. Raises as `call`."""
        return self.call("GET", path, below=below, params=parameters)

    def every(self, path: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every entry of a list that Airflow gives in pages. Raises as `call`."""
        offset = 0
        while page := self.get(path, limit=PAGE, offset=offset, **parameters)[key]:
            yield from page
            offset += len(page)
            if len(page) < PAGE:
                return

    def call(self, method: str, path: str, *, below: str = API, **how: Any) -> Any:
        """Call a path of the REST API, or `below` another, and return the answer's JSON.

        Raises:
            PlatformAway: Nothing answers there.
            LoginRefused: Airflow does not know this user or token, or it may not do this.
            InvalidRequest: Airflow does not have this, or takes no such value; its own words are told.
            AirflowRefused: It answered with another error.
        """
        return self._checked(self._answer_in_time(method, f"{below}{path}", **how), method, path)

    def start(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run as the Trigger button does, and return its id. Raises as `call`.

        The id is made here, so that asking again starts no second run.

        Args:
            conf: Values of the form's fields.
        """
        path, run_id = f"/dags/{dag_id}/dagRuns", f"manual__{datetime.now(UTC).isoformat()}"
        asked = {"dag_run_id": run_id, "logical_date": None, "conf": conf}
        answer = self._answer_in_time("POST", f"{API}{path}", json=asked)
        if answer.status_code != ALREADY_THERE:
            self._checked(answer, "POST", path)
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")
        return found

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, in the order in which they started."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        found: list[dict[str, Any]] = self.get(path, limit=100)["task_instances"]
        return sorted(found, key=lambda task: task["start_date"] or "9999")

    def result(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """What a task returned: the JSON of its result contract."""
        instance = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}"
        value = self.get(f"{instance}/xcomEntries/return_value")["value"]
        found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
        return found

    def page(self, dag_id: str, run_id: str | None = None) -> str:
        """The web page of a DAG, or of one run of it."""
        return f"{self.url}/dags/{dag_id}" + (f"/runs/{quote(run_id, safe='')}" if run_id else "")

    def _answer_in_time(self, method: str, path: str, **how: Any) -> requests.Response:
        """An answer to a token that has not run out."""
        if "Authorization" in self._session.headers:
            answer = _ask(self._session, method, f"{self.url}{path}", **how)
            if answer.status_code != 401:
                return answer
        self._session.headers["Authorization"] = f"Bearer {self._token()}"
        return _ask(self._session, method, f"{self.url}{path}", **how)

    def _checked(self, answer: requests.Response, method: str, path: str) -> Any:
        if not answer.ok:
            raise self._explain(method, path, answer)
        return answer.json() if answer.content else None

    def _explain(self, method: str, path: str, answer: requests.Response) -> PerennialError:
        if answer.status_code in {401, 403}:
            return _refused(self.url, answer)
        told = f"Airflow answers {method} {path} with HTTP {answer.status_code}: {_detail(answer)}"
        wrong = answer.status_code in {400, 404, 409, 422}
        return (InvalidRequest if wrong else AirflowRefused)(told, status=answer.status_code)


def log_in(url: str, user: str, password: str) -> str:
    """A token of Airflow's for a user; it lasts a day.

    Raises:
        PlatformAway: Nothing answers there.
        LoginRefused: Airflow does not know this user, or the password is another.
    """
    login = {"username": user, "password": password}
    with requests.Session() as session:
        answer = _ask(session, "POST", f"{url.rstrip('/')}/auth/token", json=login)
    if not answer.ok:
        raise _refused(url, answer)
    return str(answer.json()["access_token"])


def _ask(session: requests.Session, method: str, url: str, **how: Any) -> requests.Response:
    try:
        return session.request(method, url, timeout=TIMEOUT_SECONDS, **how)
    except requests.RequestException as error:
        raise PlatformAway(f"Airflow does not answer at {url}: {why_unreachable(error)}") from error


def _refused(url: str, answer: requests.Response) -> LoginRefused:
    return LoginRefused(
        f"Airflow at {url} refuses this user or token: HTTP {answer.status_code}, {_detail(answer)}. A token "
        "lasts a day; docs/command.md says how to get one.",
        status=answer.status_code,
    )


def _detail(answer: requests.Response) -> str:
    """What Airflow says itself, without the JSON around it."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
    return detail if isinstance(detail, str) else json.dumps(detail)[:500]
