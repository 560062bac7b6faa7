"""The embedded platform from a shell: `python -m embedded up | down | status | env | run COMMAND...`."""

import os
import shlex
import signal
import sys
import time
from typing import Annotated

import typer

from embedded import clone, services
from embedded.errors import AlreadyRunning, OtherClone, PlatformError
from embedded.find import platforms, running
from embedded.platform import SERVICES, Platform
from tasks.errors import PerennialError

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="Run the whole platform on this machine."
)


@app.command()
def up() -> None:
    """Start everything, say where it is, and stay until Ctrl-C."""
    platform = Platform()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    began = time.monotonic()
    try:
        platform.start(progress=_say)
    except AlreadyRunning as error:
        _say(str(error))
        return
    try:
        _say(
            f"Everything answers after {time.monotonic() - began:.0f} s. Ctrl-C stops "
            f"it.\n{_addresses(platform)}"
        )
        platform.watch(progress=_say)
        _say("The platform was stopped from elsewhere.")
    except KeyboardInterrupt:
        _say("Stopping.")
    finally:
        platform.end()


@app.command()
def down() -> None:
    """Stop what runs, and what is left of an earlier platform."""
    done = [line for platform in platforms() for line in _stop(platform)]
    for line in done or ["Nothing was running."]:
        _say(line)


@app.command()
def status(
    *, if_any: Annotated[bool, typer.Option("--if-any", help="Say nothing where nothing runs.")] = False
) -> None:
    """Say what runs, where, and how to log in. Ends with 1 when a service does not run."""
    try:
        platform = running()
    except PlatformError:
        if if_any:
            return
        raise
    pids = platform.processes()
    for name in SERVICES:
        state = (
            f"process {pids[name]}" if name in pids else f"does not run (yet); its log: {platform.logs(name)}"
        )
        _say(f"{name:24}{state}")
    _say(_addresses(platform))
    raise typer.Exit(int(len(pids) < len(SERVICES)))


@app.command()
def env() -> None:
    """Print the variables that point a shell to this platform: `eval "$(make -s env)"`. They hold secrets."""
    platform = running()
    for name, value in {**platform.variables(), "PATH": platform.environment()["PATH"]}.items():
        print(f"export {name}={shlex.quote(value)}")


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
def run(command: Annotated[list[str], typer.Argument()]) -> None:
    """Run a command in this platform's environment: `python -m embedded run airflow dags list`."""
    environment = running().environment()
    os.environ["PATH"] = environment["PATH"]
    os.execvpe(command[0], command, environment)  # noqa: S606


def _stop(platform: Platform) -> list[str]:
    """Stop it, unless it is another clone's."""
    try:
        return platform.stop()
    except OtherClone as error:
        return [str(error)]


def _addresses(platform: Platform) -> str:
    found, airflow, mlflow = platform.addresses, platform.credentials, platform.mlflow_credentials
    return (
        f"    Airflow   {found.airflow}   user {airflow.username}, password {airflow.password}\n"
        f"    MLflow    {found.mlflow}   user {mlflow.username}, password {mlflow.password}\n"
        f"    Gateway   {found.gateway}"
    )


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Run a command; what went wrong is said in a sentence, without a traceback."""
    try:
        clone.forget_another(services.exports())
        app()
    except PerennialError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
