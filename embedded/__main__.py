"""The embedded platform from a shell: `python -m embedded up | down | status | env | run COMMAND...`."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from embedded import clone, services
from embedded.errors import AlreadyRunning, OtherClone, PlatformError
from embedded.platform import SERVICES, Platform
from embedded.settings import EmbeddedSettings
from tasks.errors import PerennialError
from tasks.settings import PROJECT
from tasks.variables import read_what_is_right

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
        platform.stop()


@app.command()
def down() -> None:
    """Stop what runs, and what is left of an earlier platform."""
    done = [line for platform in _platforms() for line in _stop(platform)]
    for line in done or ["Nothing was running."]:
        _say(line)


@app.command()
def status(
    *, if_any: Annotated[bool, typer.Option("--if-any", help="Say nothing where nothing runs.")] = False
) -> None:
    """Say what runs, where, and how to log in. Ends with 1 when a service does not run."""
    try:
        platform = _running()
    except PlatformError:
        if if_any:
            return
        raise
    running = platform.processes()
    for name in SERVICES:
        state = (
            f"process {running[name]}"
            if name in running
            else f"does not run (yet); its log: {platform.logs(name)}"
        )
        _say(f"{name:24}{state}")
    _say(_addresses(platform))
    raise typer.Exit(int(len(running) < len(SERVICES)))


@app.command()
def env() -> None:
    """Print the variables that point a shell to this platform: `eval "$(make -s env)"`. They hold secrets."""
    platform = _running()
    for name, value in {**platform.variables(), "PATH": platform.environment()["PATH"]}.items():
        print(f"export {name}={shlex.quote(value)}")


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
def run(command: Annotated[list[str], typer.Argument()]) -> None:
    """Run a command in this platform's environment: `python -m embedded run airflow dags list`."""
    environment = _running().environment()
    os.environ["PATH"] = environment["PATH"]
    os.execvpe(command[0], command, environment)  # noqa: S606


def _stop(platform: Platform) -> list[str]:
    """Stop it, unless it is another clone's."""
    try:
        return platform.stop()
    except OtherClone as error:
        return [str(error)]


def _platforms() -> Iterator[Platform]:
    """That on the state folder which the settings name, and the others of this clone, such as the demo's.

    Whoever wants to see or stop what runs can do so whatever is wrong with the settings of the next start.
    """
    settings, fault = read_what_is_right(EmbeddedSettings)
    if fault:
        _warn(str(fault))
    beside = [lock.parent.parent for lock in PROJECT.glob(".perennial/*/supervisor/guardian.lock")]
    for home in dict.fromkeys([settings.home.absolute(), *beside]):
        platform = Platform(settings=settings.model_copy(update={"home": home}))
        try:
            platform.running()
        except OSError as error:
            _warn(f"Whether a platform runs on {home} cannot be seen: {error.strerror}.")
        else:
            yield platform


def _running() -> Platform:
    """The platform that runs, first of all on the state folder that the settings name."""
    told = PlatformError("The platform does not run. `make demo` or `make start` starts it.")
    for platform in _platforms():
        if platform.running():
            try:
                clone.require_own(platform.home)
            except OtherClone as error:
                told = error
            else:
                return platform
    raise told


def _addresses(platform: Platform) -> str:
    found, airflow, mlflow = platform.addresses, platform.credentials, platform.mlflow_credentials
    return (
        f"    Airflow   {found.airflow}   user {airflow.username}, password {airflow.password}\n"
        f"    MLflow    {found.mlflow}   user {mlflow.username}, password {mlflow.password}\n"
        f"    Gateway   {found.gateway}"
    )


def _warn(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
