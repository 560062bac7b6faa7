"""Who may do what in MLflow: the users of the platform's steps, beside the people whom MLflow knows.

MLflow's own authentication calls `authenticate` for every request (`authorization_function`) and then decides
by its own grants, which this module gives the steps' users:

    perennial-reader          reads everything
    perennial-gate            writes to the runs of every experiment, reads the registry
    perennial-release         writes to the registry, reads every experiment
    perennial-card            writes cards to the runs of every experiment, and descriptions of versions
    perennial-model-<model>   writes to the experiment of that model alone, reads the registry

A step's password is the HMAC-SHA256 of its user's name under the key of the installation, so a new model
needs no new secret, and no hash that is slow on purpose is computed at every request. The experiment of a
model is made at the first login of its user: MLflow gives who makes an experiment every right over it.
"""

import hmac
import json
import os
import re
import secrets
import threading
import time

from flask import Response, make_response, request
from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.server import auth
from mlflow.server.handlers import _get_model_registry_store, _get_tracking_store
from werkzeug.datastructures import Authorization

KEY = "PERENNIAL_MLFLOW_KEY"
PREFIX = "perennial-"
OF_A_MODEL = "perennial-model-"
RELEASE = "perennial-release"
CARD = "perennial-card"
EVERYTHING = "*"
CHAMPION, MOVED_BY = "champion", "perennial.champion_moved_by"
MOVES_ALIAS = "/2.0/mlflow/registered-models/alias"
READ_REGISTRY = ("registered_model", EVERYTHING, "READ")
GRANTS = {
    "perennial-reader": (("experiment", EVERYTHING, "READ"), READ_REGISTRY),
    "perennial-gate": (("experiment", EVERYTHING, "EDIT"), READ_REGISTRY),
    CARD: (("experiment", EVERYTHING, "EDIT"), ("registered_model", EVERYTHING, "EDIT")),
    RELEASE: (("experiment", EVERYTHING, "READ"), ("registered_model", EVERYTHING, "MANAGE")),
}
GRANTED_FOR_SECONDS = 60
"""After so long a user's grants are looked at again, for an experiment may have been made anew since."""

# MLflow lets every user make experiments, registered models and more, and no grant can forbid it to one who
# may write to something of the kind. So steps reach no path but these.
RUNS = re.compile(
    r"/version|/api/2\.0/mlflow-artifacts/.+|/api/[23]\.0/mlflow/"
    r"((runs|metrics|artifacts|traces|logged-models)(/.+)?|experiments/(get|get-by-name|search))"
)
REGISTRY = re.compile(r"/api/2\.0/mlflow/(registered-models|model-versions)/.+")
# Of who describes versions, beside what it reads: MLflow knows no grant so narrow.
CARD_ACTS = re.compile(
    r"PUT /api/2\.0/mlflow-artifacts/artifacts/\d+/[0-9a-f]{32}/artifacts/card/card\.(json|md|html)"
    r"|PATCH /api/2\.0/mlflow/model-versions/update"
    r"|POST /api/[23]\.0/mlflow/(runs|experiments|logged-models)/search"
)

_granted: dict[str, float] = {}
_granting = threading.Lock()


def authenticate() -> Authorization | Response:
    """Say who asks: a user of the steps by its derived password, anybody else by MLflow's own."""
    given = request.authorization
    if given is None or not (given.username or "").startswith(PREFIX):
        return auth.authenticate_request_basic_auth()
    name = str(given.username)
    if not hmac.compare_digest((given.password or "").encode(), password_of(name).encode()):
        return auth.make_basic_auth_response()
    if not _grant(name):
        return make_response(f"There is no user {name}.", 403)
    if not _may_reach(name, request.method, request.path):
        return make_response(f"{name} may not {request.method} {request.path}.", 403)
    return given


def password_of(name: str) -> str:
    return hmac.new(os.environ[KEY].encode(), name.encode(), "sha256").hexdigest()


def keep_admin(name: str, password: str) -> None:
    """Let the administrator have the password that the settings say, also after it was changed there."""
    if not auth.store.authenticate_user(name, password):
        auth.store.update_user(name, password=password)


def note_who_moves_champions() -> None:
    """Let a registered model carry who moved its alias `champion` last, which MLflow itself does not keep."""
    auth.app.after_request(_note_mover)


def _note_mover(response: Response) -> Response:
    moves = response.status_code == 200 and request.method in {"POST", "DELETE"}
    if moves and request.path.endswith(MOVES_ALIAS) and request.authorization is not None:
        asked = request.get_json(silent=True) or request.args
        if asked.get("alias") == CHAMPION:
            told = {"user": request.authorization.username, "version": asked.get("version")}
            tag = RegisteredModelTag(MOVED_BY, json.dumps(told))
            _get_model_registry_store().set_registered_model_tag(asked["name"], tag)
    return response


def _may_reach(name: str, method: str, path: str) -> bool:
    if name == CARD and method != "GET":
        return bool(CARD_ACTS.fullmatch(f"{method} {path}"))
    if RUNS.fullmatch(path):
        return True
    return bool(REGISTRY.fullmatch(path)) and (method == "GET" or name == RELEASE)


def _grant(name: str) -> bool:
    """See that the user is there with its grants; False for a name that is nobody's."""
    with _granting:
        if time.monotonic() - _granted.get(name, -GRANTED_FOR_SECONDS) < GRANTED_FOR_SECONDS:
            return True
        grants = _grants_of(name)
        if not grants:
            return False
        if not auth.store.has_user(name):
            auth.store.create_user(name, secrets.token_urlsafe(32))
        for grant in grants:
            auth.store.grant_user_permission(name, *grant)
        _granted[name] = time.monotonic()
        return True


def _grants_of(name: str) -> tuple[tuple[str, str, str], ...]:
    model = name.removeprefix(OF_A_MODEL)
    if model == name:
        return GRANTS.get(name, ())
    return (("experiment", _experiment(model), "EDIT"), READ_REGISTRY)


def _experiment(name: str) -> str:
    """The id of the experiment of this name, deleted or not; made where there is none."""
    store = _get_tracking_store()
    found = store.get_experiment_by_name(name)
    try:
        return str(found.experiment_id if found else store.create_experiment(name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(store.get_experiment_by_name(name).experiment_id)
