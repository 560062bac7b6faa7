"""Where the story is played: a platform that starts, says where it is, and tells how much memory it takes.

Two are there: the embedded platform (`demo.on_processes`) and the compose stack (`demo.on_compose`). The
story knows neither.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

Tell = Callable[[str], None]

MODELS_PAGE = "perennial/models/"
"""Below Airflow's address: where the story can be watched as it happens."""


@dataclass(frozen=True)
class Scene:
    """A platform that answers.

    Attributes:
        airflow: Airflow's base URL.
        gateway: The gateway's base URL.
        pages: What a person may look at in a browser, by name.
        logins: How to log in there, by the same names.
        prediction_token: The bearer token that the gateway's address asks for; None where it asks for none.
    """

    airflow: str
    gateway: str
    pages: dict[str, str]
    logins: dict[str, str]
    prediction_token: str | None = field(default=None, repr=False)


class Memory(Protocol):
    """What the platform takes, measured for as long as the
    `with` block runs; None where it cannot be seen from here.
    """

    @property
    def peak_mib(self) -> float | None: ...


class Stage(Protocol):
    """One platform for one story. The order is: `prepare`,
    `start`, the story, `watch` unless it stops at once, `stop`.

    `prepare` refuses (StepFailed) what holds somebody's state: a story begins from nothing. `start` returns
    when everything answers, and this process has the settings of the platform's steps from then on. `token`
    gives a bearer token of Airflow's. `watch` stays for as long as the platform serves. `stop` leaves nothing
    of what `start` started.
    """

    def prepare(self) -> None: ...

    def start(self, tell: Tell) -> Scene: ...

    def token(self) -> str: ...

    def memory(self) -> AbstractContextManager[Memory]: ...

    def watch(self, tell: Tell) -> None: ...

    def stop(self, tell: Tell) -> None: ...
