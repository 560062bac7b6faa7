"""`python -m demo [--on compose] [--exit] [--short] [--first-model]`:
start the platform, tell the story, write the report, keep serving.
"""

import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from demo.airflow import Airflow
from demo.data import MODEL
from demo.failure import StepFailed
from demo.report import Report
from demo.stage import Memory, Stage
from demo.story import DAGS, FULL, SHORT, Scale, Story
from demo.telling import Telling
from demo.traffic import Users
from tasks.errors import PerennialError
from tasks.settings import PROJECT

Place = Literal["processes", "compose"]
SET_UP_TIME = PROJECT / ".perennial" / "set-up-seconds"


def main(
    *,
    stop_at_end: Annotated[bool, typer.Option("--exit", help="Stop everything at the end.")] = False,
    short: Annotated[
        bool, typer.Option("--short", help="Fewer rows and days: the same steps and checks, sooner.")
    ] = False,
    first_model: Annotated[
        bool, typer.Option("--first-model", help="End as soon as the first model serves.")
    ] = False,
    on: Annotated[
        Place, typer.Option("--on", help="Which platform: processes of this machine, or the compose stack.")
    ] = "processes",
    report_file: Annotated[Path, typer.Option("--report", help="Where the report goes.")] = PROJECT
    / "demo-report.json",
) -> None:
    """One model lives through training, traffic, drift and retraining.

    Exits with 1 if any step did not do what it should.
    """
    if on == "processes":
        _leave_other_clones_alone()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    report = Report(short=short, set_up_seconds=_set_up_seconds())
    telling = Telling(report)
    stage = _prepared(on, telling)
    try:
        _tell(stage, telling, SHORT if short else FULL, first_model=first_model)
        if not stop_at_end and report.addresses:
            report.write(report_file)
            stage.watch(telling.say)
    except KeyboardInterrupt:
        telling.say("Interrupted.")
    except PerennialError as error:
        report.failure = str(error)
        telling.say(str(error))
    finally:
        report.write(report_file)
        stage.stop(telling.say)
    raise typer.Exit(1 if report.failure else 0)


def _leave_other_clones_alone() -> None:
    """A shell may point to the platform of another clone; the story is told on this one's."""
    from embedded import clone, services

    clone.forget_another(services.exports())


def _prepared(on: Place, telling: Telling) -> Stage:
    """The platform, ready to be started."""
    try:
        stage = _stage(on)
        stage.prepare()
    except (StepFailed, PerennialError) as error:
        telling.say(f"The demo cannot start: {error}")
        raise typer.Exit(1) from error
    return stage


def _stage(on: Place) -> Stage:
    """Imported here, because neither place has what the other needs."""
    if on == "compose":
        from demo.on_compose import OnCompose

        return OnCompose()
    from demo.on_processes import OnProcesses

    return OnProcesses()


def _tell(stage: Stage, telling: Telling, scale: Scale, *, first_model: bool) -> None:
    """Start the platform and tell the story. A step that fails ends it, and is the report's failure."""
    report = telling.report
    try:
        with telling.step("Airflow, MLflow, TorchServe and the gateway start"):
            scene = stage.start(telling.at_work)
        report.addresses = scene.pages
        logins = ((f"{name} login", login) for name, login in scene.logins.items())
        telling.table("Watch it in the browser", [*scene.pages.items(), *logins])
        airflow, users = (
            Airflow(scene.airflow, stage.token),
            Users(scene.gateway, MODEL, scene.prediction_token),
        )
        with tempfile.TemporaryDirectory() as folder, stage.memory() as memory:
            try:
                airflow.wait_for_dags(DAGS, timeout_seconds=120)
                Story(airflow, users, telling, scale, Path(folder)).tell(first_model=first_model)
                report.complete, report.failure = True, None
            finally:
                _sum_up(report, users, memory)
    except (StepFailed, PerennialError) as error:
        report.failure = str(error)
        telling.say(f"This did not do what it should: {error}")
    peak = report.platform_peak_pss_mib
    telling.table(
        "The demo is complete" if report.complete else "The demo failed",
        [
            *((name.replace("_", " "), f"{value:.3f}") for name, value in report.accuracy.items()),
            ("failed requests", f"{len(report.failed_requests)} of {report.requests}"),
            *([("peak memory", f"{peak:.0f} MiB")] if peak is not None else []),
            ("report", "demo-report.json"),
        ],
    )


def _sum_up(report: Report, users: Users, memory: Memory) -> None:
    """What was counted over the whole story."""
    report.seconds = round(time.time() - report.started_at.timestamp(), 1)
    report.requests = users.sent + sum(promotion.load_requests for promotion in report.promotions)
    report.failed_requests = users.failed + [
        one for promotion in report.promotions for one in promotion.load_failures
    ]
    report.platform_peak_pss_mib = None if memory.peak_mib is None else round(memory.peak_mib)


def _set_up_seconds() -> float | None:
    """How long `make setup` took to build the environments; None where it did not note it."""
    return float(SET_UP_TIME.read_text(encoding="utf-8")) if SET_UP_TIME.exists() else None


if __name__ == "__main__":
    typer.run(main)
