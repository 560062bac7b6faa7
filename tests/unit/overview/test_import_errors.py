"""Of what Airflow says about a DAG file, the line with the fact is told."""

import pytest

from tasks.overview.import_errors import fact_of

TIMED_OUT = """Traceback (most recent call last):
  File "/opt/dags/train.py", line 3, in <module>
    from plugins.models import models
  File "<frozen importlib._bootstrap>", line 1176, in _find_and_load
airflow.sdk.exceptions.AirflowTaskTimeout: DagBag import timeout for /opt/dags/train.py after 30.0s.
Please take a look at these docs to improve your DAG import time:
* https://airflow.apache.org/docs/best-practices.html#top-level-python-code
* https://airflow.apache.org/docs/best-practices.html#reducing-dag-complexity, PID: 28043
"""
WRONG_SYNTAX = """Traceback (most recent call last):
  File "/opt/dags/train.py", line 3
    def train(:
              ^
SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("said", "fact"),
    [
        (TIMED_OUT, "AirflowTaskTimeout: DagBag import timeout for /opt/dags/train.py after 30.0s."),
        (WRONG_SYNTAX, "SyntaxError: invalid syntax"),
        ("Dag processing timed out.\nSee the docs.", "Dag processing timed out."),
        ('Traceback (most recent call last):\n  File "x.py", line 1, in y\n    raise E', "raise E"),
        ("", "Airflow does not say why"),
    ],
)
def test_the_fact_of_an_import_error_is_told(said: str, fact: str) -> None:
    assert fact_of(said) == fact
