"""Tell a service elsewhere that the loop is at work, so that it tells people when nothing comes any more.

Nothing on this machine can tell that the machine itself is gone.
"""

from datetime import datetime
from urllib.parse import urlsplit

import requests
import urllib3
from airflow.sdk.exceptions import AirflowException

from tasks.settings import settings

PATIENCE_SECONDS = 10
NO_HOST = "an address that is no URL"
FAULTS = (requests.RequestException, urllib3.exceptions.HTTPError, ValueError)
"""What a request ends with that comes to nothing; of an address that is none `requests` lets others' pass."""


def send_heartbeat(at: datetime) -> None:
    """Ask PERENNIAL_HEARTBEAT_URL, where it is set.

    A redirection is not followed: a POST would become a GET without its body, and what it leads to, such as a
    page to log in, answers everybody with 200. Of the answer only the head is read.

    Raises:
        AirflowException: It did not take the heartbeat. Only its host is named: the rest is a secret.
    """
    place = settings()
    url = place.heartbeat_url.get_secret_value()
    if not url:
        return
    body = f"perennial_loop_beat_timestamp_seconds {at.timestamp():.0f}\n" if _posts() else None
    fault = ""
    try:
        with requests.request(
            place.heartbeat_method,
            url,
            data=body,
            headers={"Content-Type": "text/plain"} if body else {},
            timeout=PATIENCE_SECONDS,
            allow_redirects=False,
            stream=True,
        ) as answer:
            if not requests.codes.ok <= answer.status_code < requests.codes.multiple_choices:
                fault = f"status {answer.status_code}"
    except FAULTS as error:
        fault = type(error).__name__
    if fault:  # here, where no error that has the URL is what it came from
        raise AirflowException(_untaken(url, fault))


def _posts() -> bool:
    return settings().heartbeat_method == "POST"


def _untaken(url: str, why: str) -> str:
    """`requests` writes the whole URL into its errors."""
    return (
        f"The heartbeat was not taken by {_host(url)} ({why}). It is sent again in a minute; look whether "
        "PERENNIAL_HEARTBEAT_URL is right."
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or NO_HOST
    except ValueError:
        return NO_HOST
