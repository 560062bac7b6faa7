"""Tell a service elsewhere that the loop is at work, so that it tells people when nothing comes any more.

Nothing on this machine can tell that the machine itself is gone.
"""

from datetime import datetime
from urllib.parse import urlsplit

import requests
from airflow.sdk.exceptions import AirflowException

from tasks.settings import settings

PATIENCE_SECONDS = 10


def send_heartbeat(at: datetime) -> None:
    """Ask PERENNIAL_HEARTBEAT_URL, where it is set.

    Raises:
        AirflowException: It did not take the heartbeat. Only its host is named: the rest is a secret.
    """
    place = settings()
    url = place.heartbeat_url.get_secret_value()
    if not url:
        return
    body = f"perennial_loop_beat_timestamp_seconds {at.timestamp():.0f}\n" if _posts() else None
    try:
        answer = requests.request(
            place.heartbeat_method,
            url,
            data=body,
            headers={"Content-Type": "text/plain"} if body else {},
            timeout=PATIENCE_SECONDS,
        )
    except requests.RequestException as error:
        raise AirflowException(_untaken(url, type(error).__name__)) from None
    if not answer.ok:
        raise AirflowException(_untaken(url, f"status {answer.status_code}"))


def _posts() -> bool:
    return settings().heartbeat_method == "POST"


def _untaken(url: str, why: str) -> str:
    """`requests` writes the whole URL into its errors."""
    host = urlsplit(url).hostname or "which is no URL"
    return (
        f"The heartbeat was not taken by {host} ({why}). It is sent again in a minute; look whether "
        "PERENNIAL_HEARTBEAT_URL is right."
    )
