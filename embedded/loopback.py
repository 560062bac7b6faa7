"""The host name of every Airflow process here (`[core] hostname_callable`)."""


def hostname() -> str:
    """Always `localhost`: asking for this machine's full name costs seconds where there is no name server."""
    return "localhost"
