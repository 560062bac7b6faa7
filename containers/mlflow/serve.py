"""Make or upgrade MLflow's database, then serve its pages and REST API: `python serve.py`.

Where the stores lie comes from the environment, never from the command line, which every user of the host can
read:

    PERENNIAL_MLFLOW_DATABASE_URL   SQLAlchemy URL of the database, as
                                    postgresql+psycopg2://user:password@host/mlflow
    PERENNIAL_MLFLOW_ARTIFACTS_URL  where artifacts go; clients reach them through this server alone
    PERENNIAL_MLFLOW_HOST, _PORT    the address to listen on: every one of the container, port 5000
    PERENNIAL_MLFLOW_METRICS_PORT   where Prometheus is answered, at the same host: port 5001

and so do the secrets that containers/ml/serve_mlflow.py names.
"""

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "ml"))
import counted
import serve_mlflow


def main() -> None:
    """Upgrade, then serve until SIGTERM."""
    names = ("PERENNIAL_MLFLOW_DATABASE_URL", "PERENNIAL_MLFLOW_ARTIFACTS_URL")
    serve_mlflow.require(*names, *serve_mlflow.SECRETS)
    database_url, artifacts_url = (os.environ[name] for name in names)
    host = os.environ.get("PERENNIAL_MLFLOW_HOST", "0.0.0.0")  # noqa: S104 - of a container
    port = int(os.environ.get("PERENNIAL_MLFLOW_PORT", "5000"))
    counted.tell(host, int(os.environ.get("PERENNIAL_MLFLOW_METRICS_PORT", "5001")))
    serve_mlflow.main(host, port, database_url, artifacts_url, upgrade=True, around=counted.Counted)


if __name__ == "__main__":
    main()
