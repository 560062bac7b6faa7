"""Make Airflow's database or bring it up to date, with the pool in which steps wait for a GPU.

Run as `python -m embedded.airflow_database`: one process, because Airflow's imports cost more than its
commands.
"""

from airflow.cli.cli_parser import get_parser
from airflow.models.pool import Pool

from tasks.settings import settings

MACHINE_GPUS = "1"


def airflow(*words: str) -> None:
    """Run one `airflow` command in this process."""
    arguments = get_parser().parse_args(words)
    arguments.func(arguments)


def main() -> None:
    """Migrate, then make the pool; one that is there keeps the slots that its user gave it."""
    airflow("db", "migrate")
    if Pool.get_pool(settings().gpu_pool) is None:
        airflow(
            "pools",
            "set",
            settings().gpu_pool,
            MACHINE_GPUS,
            "Steps that want this machine's GPU; one at a time.",
        )


if __name__ == "__main__":
    main()
