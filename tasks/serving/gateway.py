"""The gateway, as the steps see it: routes, their history, and the log of predictions and labels."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import requests
from pydantic import AwareDatetime
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tasks.contracts import Contract, LossRule, ObjectiveCounts, Outcomes, Route, TrafficSplit
from tasks.errors import ServingError
from tasks.settings import settings

TIMEOUT_SECONDS = (5.0, 60.0)
RETRIES = 8
"""How often a step repeats a call: for half a minute, within which a gateway that ended is back."""
PAGE_ROWS = 10_000


class RouteChange(Contract):
    """One entry of a route's history; `route` is None where the model was withdrawn."""

    sequence: int
    change: Literal["deploy", "rollback", "withdraw"]
    at: AwareDatetime
    route: Route | None


class Gateway:
    """The gateway's internal addresses.

    Every call may be repeated, so that a restart of the gateway is waited for.

    Args:
        retries: How often a call is repeated; None for `RETRIES`. Who only looks waits less long than a step.
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, retries: int | None = None
    ) -> None:
        self._url = (url or settings().gateway_url).rstrip("/")
        self._session = requests.Session()
        self._session.headers["Authorization"] = (
            f"Bearer {token or settings().gateway_token.get_secret_value()}"
        )
        again = Retry(
            total=RETRIES if retries is None else retries,
            backoff_factor=0.1,
            status_forcelist=[503],
            allowed_methods=None,
            raise_on_status=False,
        )
        self._session.mount("http://", HTTPAdapter(max_retries=again))
        self._session.mount("https://", HTTPAdapter(max_retries=again))

    def names(self) -> list[str]:
        """Every model that is served."""
        names: list[str] = self._call("GET", "/healthz").json()["models"]
        return names

    def route(self, model: str) -> Route | None:
        """Where the model's requests go now; None where it is not served."""
        response = self._call("GET", f"/internal/routes/{model}", allowed=404)
        return None if response.status_code == 404 else Route.model_validate(response.json())

    def put(self, route: Route, change: Literal["deploy", "rollback"]) -> None:
        """Send the model's requests to this version from the next one on."""
        self._call(
            "PUT",
            f"/internal/routes/{route.model}",
            params={"change": change},
            json=route.model_dump(mode="json"),
        )

    def withdraw(self, model: str) -> None:
        """Serve the model no longer."""
        self._call("DELETE", f"/internal/routes/{model}", allowed=404)

    def history(self, model: str) -> list[RouteChange]:
        """Every change of the model's route, oldest first."""
        entries = self._call("GET", f"/internal/routes/{model}/history").json()["history"]
        return [RouteChange.model_validate(entry) for entry in entries]

    def open_split(self, split: TrafficSplit) -> None:
        """Let a second version answer, or see copies of, a part of its model's requests from the next one on.

        Another split of the model is replaced; a change of its route ends it.

        Raises:
            ServingError: The model is not served (status 404), or by the archive of the candidate (422).
        """
        self._call("PUT", f"/internal/splits/{split.candidate.model}", json=split.model_dump(mode="json"))

    def split(self, model: str) -> TrafficSplit | None:
        """How the model's requests are divided; None where one version gets all."""
        response = self._call("GET", f"/internal/splits/{model}", allowed=404)
        if response.status_code == 404:
            return None
        return TrafficSplit.model_validate(response.json()["split"])

    def close_split(self, model: str) -> None:
        """Let the version of the model's route answer everything again; no harm where it does."""
        self._call("DELETE", f"/internal/splits/{model}", allowed=404)

    def outcomes(
        self, model: str, since: datetime, labelled: int = 10_000, losses: LossRule | None = None
    ) -> Outcomes:
        """What became of the model's requests since a time, by version and role.

        What another process of the gateway answered in the last second may be missing.

        Args:
            labelled: How many predictions with a label are told at most, the oldest; 100,000 is the limit.
            losses: What is counted of all predictions with a label; None for nothing.
        """
        parameters: dict[str, str | int] = {"since": since.isoformat(), "labelled": labelled}
        if losses is not None:
            parameters["losses"] = losses.model_dump_json()
        told = self._call("GET", f"/internal/outcomes/{model}", params=parameters)
        return Outcomes.model_validate_json(told.content)

    def objectives(
        self, model: str, since: Sequence[datetime], seconds: float, labels_since: datetime
    ) -> ObjectiveCounts:
        """What became of the model's requests since each of some times, and how right its answers were.

        Args:
            seconds: An answer that took longer is slow.
            labels_since: Labelled are answers that were given then or later.
        """
        parameters: list[tuple[str, str | float]] = [
            *(("since", each.isoformat()) for each in since),
            ("seconds", seconds),
            ("labels_since", labels_since.isoformat()),
        ]
        told = self._call("GET", f"/internal/objectives/{model}", params=parameters)
        return ObjectiveCounts.model_validate_json(told.content)

    def in_flight(self, model: str) -> dict[str, int]:
        """Requests that any process of the gateway works on, by backend version; one not named has none."""
        counted: dict[str, int] = self._call("GET", f"/internal/routes/{model}/in_flight").json()["in_flight"]
        return counted

    def probe(
        self, model: str, instance: dict[str, Any], version: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """The run that answers users now, and its answer to `instance`; it leaves no trace in the log.

        Args:
            version: The model version to ask instead: the candidate of a split.
        """
        how: dict[str, Any] = {"params": {"version": version}} if version else {}
        answer = self._call("POST", f"/internal/probe/{model}", json={"instances": [instance]}, **how).json()
        return answer["run_id"], answer["predictions"][0]

    def predict_batch(self, model: str, lines: Sequence[bytes]) -> bytes:
        """What the version that serves answers to instances, each a line of JSON: a line for each, and one
        that says that these were all. Every prediction is in the log.

        Raises:
            ServingError: The model is not served (status 404), or the lines are too many (422) or too large
                (413).
        """
        body, kind = b"\n".join(lines), {"Content-Type": "application/x-ndjson"}
        path = f"/internal/predict_batch/{quote(model, safe='')}"
        return self._call("POST", path, data=body, headers=kind).content

    def log_id(self) -> str:
        """Which log it is: a gateway that has lost its database
        begins a new one, whose sequences start at 1 again.
        """
        return str(self._call("GET", "/internal/log").json()["log_id"])

    def log(
        self, table: Literal["predictions", "feedback", "takebacks"], model: str, after: int
    ) -> list[dict[str, Any]]:
        """The model's next rows with a sequence above `after`, in their order; at most `PAGE_ROWS`."""
        parameters: dict[str, str | int] = {"model": model, "after": after, "limit": PAGE_ROWS}
        rows: list[dict[str, Any]] = self._call("GET", f"/internal/log/{table}", params=parameters).json()[
            "rows"
        ]
        return rows

    def prediction(self, prediction_id: str) -> dict[str, Any] | None:
        """One prediction as the log has it, with its `labels`, whichever model made it; None for none."""
        response = self._call("GET", f"/internal/predictions/{quote(prediction_id, safe='')}", allowed=404)
        return None if response.status_code == 404 else response.json()

    def answers(self, model: str, run_id: str, after: int) -> dict[str, Any]:
        """How many predictions of a run have a sequence above
        `after`: `rows`, and the times of the first and the last.
        """
        path = f"/internal/answers/{quote(model, safe='')}/{quote(run_id, safe='')}"
        counted: dict[str, Any] = self._call("GET", path, params={"after": after}).json()
        return counted

    def _call(self, method: str, path: str, allowed: int = 200, **how: Any) -> requests.Response:
        try:
            response = self._session.request(method, f"{self._url}{path}", timeout=TIMEOUT_SECONDS, **how)
        except requests.RequestException as error:
            raise ServingError(
                f"The gateway does not answer at {self._url}: {error}. See whether it runs."
            ) from error
        if response.ok or response.status_code == allowed:
            return response
        raise ServingError(
            f"The gateway refused {method} {path}: HTTP {response.status_code}, {response.text[:500]}",
            status=response.status_code,
        )
