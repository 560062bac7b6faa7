"""Bring what Airflow stands on up to date: its database, its
first user, the pool of the GPUs, the bucket of the store.

Runs before every start and may run again at any time. A password changed in .env becomes the user's at the
next start.
"""

import os
import sys

from airflow.cli.cli_parser import get_parser

from tasks.errors import InvalidSettings
from tasks.settings import settings


def airflow(*words: str) -> None:
    """Run one `airflow` command in this process, whose imports cost more than the commands do."""
    arguments = get_parser().parse_args(words)
    arguments.func(arguments)


def make_user(name: str, password: str) -> None:
    """The first user: made once, its password set to ours each time."""
    identity = ["--firstname", "First", "--lastname", "User", "--email", f"{name}@perennial.invalid"]
    airflow("users", "create", "--username", name, "--password", password, "--role", "Admin", *identity)
    airflow("users", "reset-password", "--username", name, "--password", password)


def slots(kind: str) -> int:
    """How many tasks the workers of a kind can run at a time."""
    return int(os.environ[f"{kind}S"]) * int(os.environ[f"{kind}_SLOTS"])


def make_pools(default: int, gpu: int) -> None:
    """No larger than what the workers can run: what waits for a pool may wait for days, but Airflow gives a
    task up that it has handed to a queue from which nobody takes it (`task_queued_timeout`, three times).
    """
    airflow(
        "pools",
        "set",
        "default_pool",
        str(default),
        "What the workers can run at a time: DEFAULT_WORKERS, WORKER_SLOTS in .env",
    )
    airflow("pools", "set", "gpu", str(gpu), "Steps that want a GPU; GPU_SLOTS in .env")


def main() -> None:
    """Do it all, unless a setting is wrong for which no DAG could be read."""
    try:
        settings()
    except InvalidSettings as error:
        sys.exit(str(error))
    airflow("db", "migrate")
    make_user(os.environ["ADMIN_USER"], os.environ["ADMIN_PASSWORD"])
    make_pools(slots("WORKER"), min(int(os.environ["GPU_SLOTS"]), slots("GPU_WORKER")))


if __name__ == "__main__":
    main()
