"""Airflow's public REST API, as far as the command needs it: start a run, follow it, read its results."""

import json
from collections.abc import Iterator
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


class AirflowRefused(PerennialError):
    """Airflow answered with an error that is none of the command's own."""


class Airflow:
    """A client that logs in when it has to, and once more when its token has ended.

    Args:
        url: Where Airflow answers, without a slash at the end.
        user, password: Whom a token is asked for.
        token: A bearer token, instead of these.
    """

    def __init__(self, url: str, *, user: str = "", password: str = "", token: str = "") -> None:
        self.url = url
        self._user, self._password = user, password
        self._session = requests.Session()
        again = HTTPAdapter(max_retries=Retry(total=3, backoff_factor=0.2, allowed_methods={"GET"}))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, again)
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of `/api/v2<path>`. Raises as `call`."""
        return self.call("GET", f"/api/v2{path}", params=parameters)

    def every(self, path: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Every entry of a list that Airflow gives in pages. Raises as `call`."""
        offset = 0
        while page := self.get(path, limit=PAGE, offset=offset, **parameters)[key]:
            yield from page
            offset += len(page)
            if len(page) < PAGE:
                return

    def call(self, method: str, path: str, **how: Any) -> Any:
        """Call `path` below Airflow's root and return the answer's JSON.

        Raises:
            PlatformAway: Nothing answers there.
            LoginRefused: Airflow does not know this user or token, or it may not do this.
            InvalidRequest: Airflow does not have this, or takes no such value; its own words are told.
            AirflowRefused: It answered with another error.
        """
        if "Authorization" not in self._session.headers:
            self._log_in()
        answer = self._ask(method, path, **how)
        if answer.status_code == 401 and self._password:
            self._log_in()
            answer = self._ask(method, path, **how)
        if answer.ok:
            return answer.json() if answer.content else None
        raise self._explain(method, path, answer)

    def trigger(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Start a run as the Trigger button does, and return its id. Raises as `call`."""
        asked = {"logical_date": None, "conf": conf}
        return str(self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=asked)["dag_run_id"])

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

    def page(self, dag_id: str, run_id: str) -> str:
        """The web page of a run."""
        return f"{self.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"

    def _log_in(self) -> None:
        login = {"username": self._user, "password": self._password}
        answer = self._ask("POST", "/auth/token", json=login)
        if not answer.ok:
            raise self._refused(answer)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def _ask(self, method: str, path: str, **how: Any) -> requests.Response:
        try:
            return self._session.request(method, f"{self.url}{path}", timeout=TIMEOUT_SECONDS, **how)
        except requests.RequestException as error:
            raise PlatformAway(f"Airflow does not answer at {self.url}: {why_unreachable(error)}") from error

    def _refused(self, answer: requests.Response) -> LoginRefused:
        who = f"the user {self._user!r}" if self._password else "this token"
        return LoginRefused(
            f"Airflow at {self.url} refuses {who}: HTTP {answer.status_code}. A token lasts a day; "
            "docs/command.md says how to get one for PERENNIAL_TOKEN.",
            status=answer.status_code,
        )

    def _explain(self, method: str, path: str, answer: requests.Response) -> PerennialError:
        if answer.status_code in {401, 403}:
            return self._refused(answer)
        told = f"Airflow answers {method} {path} with HTTP {answer.status_code}: {_detail(answer)}"
        wrong = answer.status_code in {400, 404, 409, 422}
        return (InvalidRequest if wrong else AirflowRefused)(told, status=answer.status_code)


def _detail(answer: requests.Response) -> str:
    """What Airflow says itself, without the JSON around it."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]
    return detail if isinstance(detail, str) else json.dumps(detail)[:500]
