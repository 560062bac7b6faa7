"""Make or upgrade MLflow's database, its users' tables too: `python upgrade_mlflow.py DATABASE_URL`."""

import sys

import mlflow.db
from mlflow.server.auth.db import cli


def main(database_url: str) -> None:
    """Bring both schemas, which share the database, to this version."""
    mlflow.db.upgrade.callback(database_url)
    cli.upgrade.callback(database_url, "head")


if __name__ == "__main__":
    main(sys.argv[1])
