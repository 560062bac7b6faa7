"""Free loopback ports: those of the last start where they are still free, yours where you fixed them."""

import json
import random
import shlex
import socket
from collections.abc import Collection
from pathlib import Path

import psutil

from embedded.errors import PortTaken
from embedded.processes import MARK
from embedded.settings import PORTS, EmbeddedSettings
from tasks.stores.files import write_text

BELOW_THE_EPHEMERAL_RANGE = range(20_000, 32_000)
TRIES = 1_000
FILE = "ports.json"


def choose(settings: EmbeddedSettings) -> dict[str, int]:
    """A port for each service, written to home/ports.json for the next start.

    Outgoing connections take theirs from the ephemeral range, so a free port from below it stays free until
    it is bound.

    Raises:
        PortTaken: A port that the settings fix is in use, or fixed for two services; the message names the
            process where the system tells it, or the settings.
    """
    remembered = remembered_ports(settings.home)
    ports: dict[str, int] = {}
    for name in PORTS:
        fixed = getattr(settings, name)
        if fixed in ports.values():
            raise PortTaken(_shared_port(name, ports, fixed), port=fixed, setting=f"PERENNIAL_{name.upper()}")
        if fixed is not None and not is_free(fixed):
            raise PortTaken(_taken_port(name, fixed), port=fixed, setting=f"PERENNIAL_{name.upper()}")
        ports[name] = fixed or free_port(preferred=remembered.get(name), used=ports.values())
    write_text(str(settings.home / FILE), text=json.dumps(ports, indent=2))
    return ports


def remembered_ports(home: Path) -> dict[str, int]:
    """The ports of the last start; empty before the first."""
    file = home / FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*, preferred: int | None = None, used: Collection[int] = (), in_a_row: int = 1) -> int:
    """A port that nobody listens on now and no outgoing connection takes.

    Args:
        preferred: Taken if it is free.
        used: Ports that are meant for others already.
        in_a_row: How many are needed, one behind the other; the first is returned.

    Raises:
        PortTaken: None of those that were tried is free.
    """
    for first in [preferred, *random.sample(BELOW_THE_EPHEMERAL_RANGE, TRIES)]:
        if first and all(port not in used and is_free(port) for port in range(first, first + in_a_row)):
            return first
    raise PortTaken(
        f"None of {TRIES} ports tried between 20000 and 32000 is free on 127.0.0.1. Close what listens there."
    )


def _shared_port(name: str, ports: dict[str, int], port: int) -> str:
    other = next(each for each in ports if ports[each] == port)
    return (
        f"PERENNIAL_{name.upper()} and PERENNIAL_{other.upper()} are both {port}. Set one of them to another "
        "port, or remove it."
    )


def _taken_port(name: str, port: int) -> str:
    setting = f"PERENNIAL_{name.upper()}"
    return (
        f"Port {port} ({setting}) is in use by {_holder(port)}. End it, set {setting} to another port, or "
        "remove that setting."
    )


def _holder(port: int) -> str:
    for connection in psutil.net_connections("tcp"):
        if (
            connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ):
            return describe(connection.pid)
    return "a process that this user may not see"


def describe(pid: int) -> str:
    """A process as `process 123 (its command)`, with the platform that it belongs to."""
    try:
        process = psutil.Process(pid)
        command, home = shlex.join(process.cmdline()), process.environ().get(MARK)
    except psutil.Error:
        return f"process {pid}"
    platform = f", of the platform on {home}" if home else ""
    return f"process {pid} ({command:.120}){platform}"
