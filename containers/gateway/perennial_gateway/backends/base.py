"""What the gateway needs of a serving backend: several instances of one version, answered in one call."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from perennial_gateway.routes import Route
from perennial_gateway.web import Refused

RETRY_AFTER = {"Retry-After": "2"}

CALL_BYTES = 2_000_000
"""The most that a backend is sent at once; TorchServe is set to take a little more."""

CONNECT_SECONDS = 5.0

Answer = dict[str, Any]
"""What a version's handler said of one instance: `prediction` and `score`, or `error` with a `status`."""


class BackendFault(Exception):
    """A call that came to nothing through no instance's fault; the same may be asked again.

    Whoever asks tries a few times, and each instance alone where several were asked together: one that kills
    its worker takes its neighbours with it.
    """


class Unreached(BackendFault):
    """The server could not be connected to, or hung up before it answered."""


class WorkerDied(BackendFault):
    """The worker ended while it worked on this call. One that was alone in it twice is to blame."""


class NotHeld(BackendFault):
    """The server answers, but does not hold the version: another one may."""


class Backend(Protocol):
    """What can be asked; one client serves all versions that are held there."""

    async def close(self) -> None:
        """Let go of the connections; what is under way has ended before."""

    async def ask(self, route: Route, instances: Sequence[Any], headers: Mapping[str, str]) -> list[Answer]:
        """The version's answers, in the order of the instances.

        Args:
            instances: At most `route.batch_size`; one where the route does not batch.
            headers: Handed on to the backend, such as a trace's.

        Raises:
            BackendFault: It does not answer, or not with one answer for each instance.
            Refused: 502; it answered with something that is no answer, and would again.
        """


class Kind(Backend, Protocol):
    """All servers of one kind."""

    @property
    def servers(self) -> int:
        """How many they are."""


class Server(Backend, Protocol):
    """One server of a kind of backend."""

    async def alive(self) -> bool:
        """Whether it answers a probe, which asks for no version; never an error."""


async def in_parts(
    ask: Callable[[Route, Sequence[Any], Mapping[str, str]], Awaitable[list[Answer]]],
    route: Route,
    instances: Sequence[Any],
    headers: Mapping[str, str],
) -> list[Answer]:
    """The answers to instances that are together too large for a call; one that is so alone is refused."""
    if len(instances) == 1:
        return [{"error": f"It is larger than {CALL_BYTES} bytes.", "status": 413}]
    half = len(instances) // 2
    first = await ask(route, instances[:half], headers)
    return [*first, *await ask(route, instances[half:], headers)]


def checked(answer: Any) -> Answer:
    """An answer that the contract allows.

    Raises:
        Refused: 502; it is none.
    """
    if not isinstance(answer, dict) or not ("prediction" in answer or "error" in answer):
        raise Refused(502, "The model's handler answered something else than an object with a prediction.")
    return answer


def require_answered(answer: Answer, number: int) -> Answer:
    """The answer to the instance of that number in a request.

    Raises:
        Refused: The handler refused the instance (422) or failed on it alone (500), and would again.
    """
    if "error" in answer:
        raise refusal_of(answer, f"instance {number}", instance=number)
    return answer


def refusal_of(answer: Answer, which: str, **detail: Any) -> Refused:
    """What a caller is told of an instance that the handler refused (422) or failed on (500)."""
    refused = 400 <= answer.get("status", 500) < 500
    message = f"The model {'refuses' if refused else 'failed on'} {which}: {answer['error']}"
    return Refused(422 if refused else 500, message, **detail)
