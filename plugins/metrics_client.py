"""Airflow's StatsD client, for an exporter that comes and goes.

The usual one asks for the exporter's address once: a process that starts before the exporter tells nothing
for as long as it lives, and one that runs while the exporter's container gets a new address tells nobody.
Then Prometheus would call for people because a scheduler that works has no heartbeat.
"""

import socket
import threading
import time

from statsd import StatsClient

AGAIN_SECONDS = 10.0
"""Between two questions for the address while nobody is reached."""


class FindingClient(StatsClient):
    """Sends by UDP to whoever has the exporter's name now. Once it is made it neither waits nor raises."""

    def __init__(
        self,
        host: str = "localhost",
        port: int = 8125,
        prefix: str | None = None,
        maxudpsize: int = 512,
        ipv6: bool = False,  # noqa: FBT001, FBT002  # statsd's own signature
    ) -> None:
        self._place = (host, port, socket.AF_INET6 if ipv6 else socket.AF_INET)
        self._prefix = prefix
        self._maxudpsize = maxudpsize
        self._sock: socket.socket | None = None
        self._asked = time.monotonic()
        self._find()

    def _send(self, data: str) -> None:
        sending = self._sock
        try:
            if sending is not None:
                sending.send(data.encode("ascii"))
                return
        except OSError:
            # Of the datagram before: nobody listens at this address any more, or nobody has it.
            pass
        if time.monotonic() - self._asked >= AGAIN_SECONDS:
            self._asked = time.monotonic()
            # Where no name server answers, a question takes seconds, and a scheduler has none to give.
            threading.Thread(target=self._find, daemon=True).start()

    def _find(self) -> None:
        host, port, family = self._place
        try:
            address = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)[0][4]
            found = socket.socket(family, socket.SOCK_DGRAM)
            found.connect(address)  # else nobody tells what became of a datagram
        except OSError:
            return  # asked again with the next number
        before, self._sock = self._sock, found
        if before is not None:
            before.close()
