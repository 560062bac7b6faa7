"""The Airflow DAGs `cloud_run_<model>`, of models that have a Cloud Run service."""

from plugins.cloud_run.tasks import as_the_form_says, bring_to_cloud_run, cloud_run_form, on_cloud_run
from plugins.pipeline import pipeline
from plugins.schedules import only_when_asked
from tasks.spec import PipelineSpec


@pipeline(over=on_cloud_run, schedule=only_when_asked, form=cloud_run_form, paused=False)
def cloud_run(spec: PipelineSpec) -> None:
    """Let a model's Cloud Run service answer with the version that serves in production, or go back to the
    revision that it had before; no request goes to a revision that has not answered as it was judged.
    """
    bring_to_cloud_run(spec, as_the_form_says)
