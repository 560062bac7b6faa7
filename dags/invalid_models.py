"""No Airflow DAG: an import error here names each model
that is wrong, while the DAGs of all others keep running.
"""

from plugins.models import raise_faults

raise_faults(__file__)
