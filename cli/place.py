"""Where the platform is, and how the command logs in: as the environment says, whoever has written it there.

`./perennial` finds processes and containers of its clone and fills the environment in; a platform elsewhere
is named by PERENNIAL_URL, its reverse proxy, and PERENNIAL_TOKEN, a token of Airflow's. There, the ledger is
asked for through Airflow, for the database is on the platform's own network alone.
"""

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from cli import show
from cli.airflow import Airflow, AirflowRefused, log_in
from cli.exits import LoginRefused, PlatformAway
from cli.settings import CommandSettings
from tasks.contracts import Contract, LateRun, LedgerEntry, ModelFigures, Serving, Standing
from tasks.errors import DatabaseAway
from tasks.settings import settings
from tasks.variables import read

if TYPE_CHECKING:
    from cli.runs import Airflows


LEDGER_PAGES = "/perennial/ledger"
Kind = TypeVar("Kind", bound=Contract)


class Place:
    """One platform, as the words of the command reach it.

    Raises:
        InvalidSettings: A variable of the environment or of .env is wrong.
    """

    def __init__(self) -> None:
        self.settings = read(CommandSettings)

    @property
    def is_remote(self) -> bool:
        """Whether only what the reverse proxy shows can be reached."""
        return bool(self.settings.url)

    @property
    def name(self) -> str:
        """How people are told which platform this is."""
        return self.settings.place or self.airflow_url or "no platform"

    @property
    def person(self) -> str:
        """Who asks, as the ledger names them where Airflow does not; such as `person:ann@desk`."""
        return f"person:{self.settings.person or f'{getpass.getuser()}@{socket.gethostname()}'}"

    @property
    def airflow_url(self) -> str:
        return (self.settings.url or self.settings.airflow_url).rstrip("/")

    @property
    def runs(self) -> bool:
        """Whether there is a platform to ask; a ledger may lie here without one."""
        return bool(self.airflow_url)

    @property
    def gateway_url(self) -> str:
        """Where the gateway answers: below a reverse proxy, unless PERENNIAL_GATEWAY_URL says otherwise."""
        public = self.settings.url or self.settings.public_url
        named = self.is_remote and "gateway_url" in settings().model_fields_set
        return (settings().gateway_url if named or not public else public).rstrip("/")

    @property
    def mlflow_url(self) -> str:
        """Where MLflow's pages are: below a reverse proxy, unless PERENNIAL_MLFLOW_PAGES or, of a platform
        elsewhere, PERENNIAL_MLFLOW_URL says otherwise.
        """
        public, place = (self.settings.public_url or self.settings.url).rstrip("/"), settings()
        if "://" in place.mlflow_pages:
            return place.mlflow_pages
        named = self.is_remote and "mlflow_url" in place.model_fields_set
        return place.mlflow_url if named or not public else f"{public}/mlflow/"

    def require_running(self) -> None:
        """Refuse what needs the services.

        Raises:
            PlatformAway: None runs.
        """
        if not self.runs:
            raise PlatformAway(
                "No platform of this clone runs. Start one (`make start`, or `make up` in containers), or "
                "name one elsewhere: PERENNIAL_URL and PERENNIAL_TOKEN."
            )

    @property
    def has_ledger_here(self) -> bool:
        """Whether the platform's database can be read from here, running or not."""
        place = settings()
        if self.is_remote:
            return "database_url" in place.model_fields_set
        return bool(place.database_url) or (place.home / "perennial.db").exists()

    def serves(self) -> dict[str, Serving]:
        """The version that the gateway sends the requests of each model to.

        Raises:
            ServingError: It does not answer.
            LoginRefused: It asks for a token, and the one that it got is wrong.
        """
        if not self.is_remote:
            from tasks.release.standing import everything_served

            return everything_served()
        from cli.public_page import models

        return models(self.gateway_url, self.settings.prediction_token.get_secret_value())

    def standing(self, model: str, seen: Serving | None) -> Standing:
        """How a model stands; `seen` is what `serves` gave of it.

        Raises:
            ServingError: The gateway does not answer.
            PlatformAway: None runs.
        """
        from tasks.release import standing

        if self.is_remote:
            return standing.explain(model, seen, self.history)
        with _records_answer():
            return standing.standing(model)

    def look(self, only: str | None = None) -> "Airflows":
        """What Airflow has at work, and what is wrong with it, or with one model's runs.

        Raises:
            PlatformAway: It does not answer, and nothing else of the platform can be reached either.
            LoginRefused: It answers, but not to this user or token.
        """
        from cli.runs import look

        if self.is_remote:
            self.airflow.get("/version")
        return look(self.airflow, only)

    def history(self, model: str | None = None) -> list[LedgerEntry]:
        """The entries of the ledger, oldest first; of one model where it is named.

        Raises:
            PlatformAway: It can be read neither here nor through a platform that runs.
            LedgerBroken: An entry is none any more.
        """
        if self.has_ledger_here:
            from tasks.ledger import entries

            with _records_answer():
                return entries.history(model)
        self.require_running()
        asked = {"model": model} if model else {}
        found = self.airflow.get("/entries", below=LEDGER_PAGES, **asked)["entries"]
        return [_read(LedgerEntry, entry, self.airflow_url) for entry in found]

    def figures(self) -> list[ModelFigures]:
        """How each model stood by its objectives when the platform looked last. Raises as `history`."""
        if self.has_ledger_here:
            from tasks.monitoring.slo import figures

            with _records_answer():
                return figures.newest()
        self.require_running()
        found = self.airflow.get("/figures", below=LEDGER_PAGES)["figures"]
        return [_read(ModelFigures, each, self.airflow_url) for each in found]

    def late(self) -> list[LateRun]:
        """The trainings that go on past their deadline. Raises as `history`."""
        if self.has_ledger_here:
            from tasks.monitoring.alerts.late import late_runs

            with _records_answer():
                return late_runs()
        self.require_running()
        found = self.airflow.get("/late", below=LEDGER_PAGES)["late"]
        return [_read(LateRun, run, self.airflow_url) for run in found]

    def verify(self) -> tuple[list[str], list[str]]:
        """What is wrong with the ledger, and what of it could not be looked at, a sentence each.

        Raises:
            PlatformAway: It can be read neither here nor through a platform that runs.
        """
        if self.has_ledger_here:
            from tasks.ledger.verify import faults, verify

            with _records_answer():
                every = verify()
            wrong = faults(every)
            return [each.why for each in wrong], [each.why for each in every if each not in wrong]
        self.require_running()
        found: list[str] = self.airflow.get("/broken", below=LEDGER_PAGES)["findings"]
        return found, []

    def wrong_at_end(self) -> list[str]:
        """What is wrong with the ledger's newest entries and with its newest heads in the store. Raises as
        `verify`.
        """
        if self.has_ledger_here:
            from tasks.ledger.verify import verify_end

            with _records_answer():
                return [each.why for each in verify_end()]
        self.require_running()
        found: list[str] = self.airflow.get("/broken", below=LEDGER_PAGES, end=True)["findings"]
        return found

    def require_whole_ledger(self) -> None:
        """Refuse to add to a ledger whose end was altered; what cannot be checked here is told.

        Raises:
            LedgerBroken: It was cut off or written anew.
        """
        from tasks.ledger.verify import require_whole_end

        with _records_answer():
            require_whole_end(say=show.tell)

    def models_in_ledger(self) -> list[str]:
        """The models that were judged or served here; none where there is no ledger yet."""
        if not self.has_ledger_here:
            return []
        from tasks.contracts import Action
        from tasks.ledger import entries

        with _records_answer():
            return entries.models([Action.GATE, Action.DEPLOY])

    @cached_property
    def airflow(self) -> Airflow:
        """Airflow's REST API.

        Raises:
            PlatformAway: None runs.
        """
        self.require_running()
        return Airflow(self.airflow_url, self._airflow_token)

    def _airflow_token(self) -> str:
        if token := self.settings.token.get_secret_value():
            return token
        password = self.settings.airflow_password.get_secret_value()
        if not password:
            raise LoginRefused(
                f"Airflow at {self.airflow_url} asks who you are: set PERENNIAL_TOKEN. docs/command.md says "
                "how to get one."
            )
        return log_in(self.airflow_url, self.settings.airflow_user, password)


def _read(kind: type[Kind], told: dict[str, Any], url: str) -> Kind:
    """What a platform elsewhere told.

    Raises:
        AirflowRefused: It is not what this clone reads.
    """
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        raise AirflowRefused(
            f"The ledger that {url} gives is not one that this clone reads: the platform "
            "there is of another version. Check that one out."
        ) from error


@contextmanager
def _records_answer() -> Iterator[None]:
    """Say in a sentence that the ledger's database, or the store of its heads, cannot be read.

    Raises:
        PlatformAway: The database does not answer, or is not one.
        StoreUnreachable, StoreRefused: The store does not answer, or not to this user.
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import DBAPIError

    from tasks.stores.database import told
    from tasks.stores.faults import explain

    try:
        yield
    except DatabaseAway as error:
        raise PlatformAway(f"The ledger cannot be read. {error}") from error
    except DBAPIError as error:
        where = told(make_url(settings().database))
        raise PlatformAway(f"The ledger cannot be read from {where}: {error.orig}") from error
    except Exception as error:
        if of_store := explain(error):
            raise of_store from error
        raise
