"""Ask whether a part of Airflow does its work.

    python healthy.py metadatabase|scheduler|dag_processor|triggerer|worker

Ends with 0 if it does. Not `airflow jobs check`, not `airflow celery`: each costs five seconds of processor
time, this a tenth.
"""

import json
import os
import socket
import sys
from urllib.request import urlopen

HEALTH = "http://airflow-apiserver:8080/api/v2/monitor/health"
ANSWER_SECONDS = 8


def main(part: str) -> None:
    """Exit with a sentence where the part is not healthy."""
    state = worker() if part == "worker" else component(part)
    if state != "healthy":
        sys.exit(f"The {part} is {state}.")


def component(part: str) -> str:
    """What Airflow's own page says: for all but the database, by the component's last heartbeat."""
    with urlopen(HEALTH, timeout=ANSWER_SECONDS) as answer:
        return str(json.load(answer)[part]["status"])


def worker() -> str:
    """Whether the Celery worker of this container answers over the broker."""
    from celery import Celery

    name = f"celery@{socket.gethostname()}"
    control = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"]).control
    return (
        "healthy"
        if control.ping([name], timeout=ANSWER_SECONDS)
        else f"silent: {name} did not answer over the broker"
    )


if __name__ == "__main__":
    main(sys.argv[1])
