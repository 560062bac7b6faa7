"""A DAG of a team's own that goes on when a model's drift check has found something."""

from airflow.sdk import DAG, task

from plugins.sensors.drift import DriftSensor

with DAG("tell_the_shop", schedule="@daily", catchup=False):
    drifted = DriftSensor(
        task_id="drifted",
        model="review_sentiment",
        verdicts=("retrain", "incident"),
        timeout=6 * 3600,
        soft_fail=True,  # a quiet day skips what follows
    )

    @task
    def tell(decision: dict) -> str:
        return f"{decision['model']}: {decision['why']}"

    tell(drifted.output)
