"""Free loopback ports: those of the last start where they are still free, yours where you fixed them."""

import json
import random
import socket
from pathlib import Path

import psutil

from embedded.errors import PortTaken
from embedded.settings import PORTS, EmbeddedSettings
from tasks.step import write_whole

BELOW_THE_EPHEMERAL_RANGE = range(20_000, 32_000)
TRIES = 1_000


def choose(settings: EmbeddedSettings) -> dict[str, int]:
    """A port for each service, written to home/ports.json for the next start.

    Outgoing connections take theirs from the ephemeral range, so a free port from below it stays free until it is bound.

    Raises:
        PortTaken: A port that the settings fix is in use; the message names the process where the system tells it.
    """
    file = settings.home / "ports.json"
    remembered = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    chosen: dict[str, int] = {}
    for name in PORTS:
        fixed = getattr(settings, name)
        if fixed is not None and not is_free(fixed):
            raise PortTaken(_taken(name, fixed), port=fixed, setting=f"PERENNIAL_{name.upper()}")
        chosen[name] = fixed or _free_port(remembered.get(name), set(chosen.values()))
    write_whole(file, json.dumps(chosen, indent=2))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(remembered: int | None, used: set[int]) -> int:
    candidates = random.sample(BELOW_THE_EPHEMERAL_RANGE, TRIES)
    for port in [remembered, *candidates]:
        if port and port not in used and is_free(port):
            return port
    raise PortTaken(f"None of {TRIES} ports tried between 20000 and 32000 is free on 127.0.0.1. Close what listens there.")


def _taken(name: str, port: int) -> str:
    setting = f"PERENNIAL_{name.upper()}"
    return f"Port {port}, which {setting} fixes, is in use by {_holder(port)}. End it, or set {setting} to another port or not at all."


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return describe(connection.pid)
    return "a process that this user may not see"


def describe(pid: int) -> str:
    """A process as `process 123 (its command)`."""
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        command = ""
    return f"process {pid} ({Path(command.split(' ')[0]).name + command[len(command.split(' ')[0]):]:.120})" if command else f"process {pid}"
