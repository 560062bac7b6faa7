"""`python -m demo [--exit] [--short]`: start the platform, tell the story, write demo-report.json, and keep serving."""

import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from demo.airflow import Airflow
from demo.data import MODEL
from demo.failure import StepFailed, require
from demo.memory import PeakMemory
from demo.report import Report
from demo.story import DAGS, FULL, SHORT, Story
from demo.telling import Telling
from demo.traffic import Users
from embedded.platform import Platform
from tasks import database
from tasks.errors import PerennialError
from tasks.settings import PROJECT, settings

REPORT = PROJECT / "demo-report.json"
MARK = "made-by-the-demo"
SET_UP_TIME = PROJECT / ".perennial" / "set-up-seconds"


def main(
    *,
    stop_at_end: Annotated[bool, typer.Option("--exit", help="Stop everything at the end.")] = False,
    short: Annotated[bool, typer.Option("--short", help="Fewer rows and days: the same steps and checks, sooner.")] = False,
) -> None:
    """One model lives through training, traffic, drift and retraining. Exits with 1 if any step did not do what it should."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    report = Report(short=short, set_up_seconds=_set_up_seconds())
    telling = Telling(report)
    platform = Platform()
    try:
        _begin_from_nothing(platform)
    except StepFailed as error:
        telling.say(f"The demo cannot start: {error}")
        raise typer.Exit(1) from error
    try:
        _tell(platform, telling, short=short)
        if not stop_at_end and report.addresses:
            telling.say("Everything keeps serving. Ctrl-C stops it.")
            platform.watch(telling.say)
    except KeyboardInterrupt:
        telling.say("Interrupted.")
    except PerennialError as error:
        report.failure = str(error)
        telling.say(str(error))
    finally:
        report.write(REPORT)
        telling.say("Stopping everything.")
        platform.stop()
    raise typer.Exit(1 if report.failure else 0)


def _tell(platform: Platform, telling: Telling, *, short: bool) -> None:
    """Start the platform and tell the story. A step that fails ends it, and is the report's failure."""
    report = telling.report
    try:
        with telling.step("Airflow, MLflow, TorchServe and the gateway start"):
            addresses = platform.start(telling.at_work)
            _point_this_process_at(platform)
        report.addresses = {"Airflow": addresses.airflow, "MLflow": addresses.mlflow, "Gateway": addresses.gateway}
        _show(platform, telling)
        airflow = Airflow(addresses.airflow, platform.airflow_token)
        users = Users(addresses.gateway, MODEL)
        with tempfile.TemporaryDirectory() as folder, PeakMemory(platform.guardian or os.getpid()) as memory:
            try:
                airflow.wait_for_dags(DAGS, timeout_seconds=120)
                Story(airflow, users, telling, SHORT if short else FULL, Path(folder)).tell()
                report.complete, report.failure = True, None
            finally:
                _sum_up(report, users, memory)
    except (StepFailed, PerennialError) as error:
        report.failure = str(error)
        telling.say(f"This did not do what it should: {error}")
    report.write(REPORT)
    telling.table(
        "The demo is complete" if report.complete else "The demo failed",
        [
            *((name.replace("_", " "), f"{value:.3f}") for name, value in report.accuracy.items()),
            ("failed requests", f"{len(report.failed_requests)} of {report.requests}"),
            ("peak memory", f"{report.platform_peak_pss_mib:.0f} MiB"),
            ("report", REPORT.name),
        ],
    )


def _sum_up(report: Report, users: Users, memory: PeakMemory) -> None:
    """What was counted over the whole story."""
    report.seconds = round(time.time() - report.started_at.timestamp(), 1)
    report.requests = users.sent + sum(promotion.load_requests for promotion in report.promotions)
    report.failed_requests = users.failed + [one for promotion in report.promotions for one in promotion.load_failures]
    report.platform_peak_pss_mib = round(memory.peak_mib)


def _show(platform: Platform, telling: Telling) -> None:
    login = platform.credentials
    rows = [*telling.report.addresses.items(), ("Airflow login", f"{login.username} / {login.password}")]
    telling.table("Watch it in the browser", rows)


def _begin_from_nothing(platform: Platform) -> None:
    """Remove what the last demo left; refuse to touch a state folder that is not a demo's."""
    home = platform.home
    require(not platform.running(), f"A platform runs on {home} already: stop it with `make stop`.")
    if (home / MARK).exists():
        shutil.rmtree(home)
    used = home.exists() and any(home.iterdir())
    require(
        not used,
        f"{home} holds a platform's state that is not a demo's. Set PERENNIAL_HOME to another folder, or `make clean`.",
    )
    home.mkdir(parents=True, exist_ok=True)
    (home / MARK).touch()


def _point_this_process_at(platform: Platform) -> None:
    """The demo reads the ledger and lands files with the same settings as the steps."""
    os.environ.update(platform.variables())
    settings.cache_clear()
    database.engine.cache_clear()


def _set_up_seconds() -> float | None:
    """How long `make setup` took to build the environments; None where it did not note it."""
    return float(SET_UP_TIME.read_text(encoding="utf-8")) if SET_UP_TIME.exists() else None


if __name__ == "__main__":
    typer.run(main)
