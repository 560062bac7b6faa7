"""What a cluster refuses, as a sentence that says what to do, split into what may pass and what will not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from plugins.runners.step import EngineFault
from tasks.errors import InvalidProject
from tasks.settings import settings

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, UNPROCESSABLE, TOO_MANY = 401, 403, 404, 409, 422, 429


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turns what the cluster says into our errors.

    Raises:
        InvalidProject: It will not do this however often it is asked.
        EngineFault: It does not answer, or failed.
    """
    try:
        yield
    except ApiException as error:
        raise _as_ours(error) from error
    except ConfigException as error:
        raise InvalidProject(
            f"Airflow does not know the cluster: {error}. Say in the connection "
            f"{settings().kubernetes_connection!r} where it "
            "is (PERENNIAL_KUBERNETES_CONNECTION), or let Airflow run in it."
        ) from error
    except (HTTPError, OSError, AirflowException) as error:
        raise EngineFault(
            f"The cluster does not answer: {error}. Look whether this worker reaches it; the Airflow "
            f"connection {settings().kubernetes_connection!r} says where it is. The task will be tried again."
        ) from error


def _as_ours(error: ApiException) -> Exception:
    said = _message(error)
    if error.status in {UNAUTHORIZED, FORBIDDEN} and "exceeded quota" not in said:
        return InvalidProject(
            f"The cluster refused it: {said}. The account of the Airflow workers needs the Role of "
            "containers/kubernetes/rbac.yaml in the namespace of the steps."
        )
    if error.status == NOT_FOUND:
        return InvalidProject(
            f"The cluster says: {said}. PERENNIAL_KUBERNETES_NAMESPACE must be a namespace that it has."
        )
    if error.status in {400, 405, 413, 415, UNPROCESSABLE}:
        return InvalidProject(f"The cluster refused the step's pod: {said}")
    return EngineFault(f"The cluster failed: {said}. The task will be tried again.")


def may_pass(error: BaseException) -> bool:
    """Whether the same question may be answered a moment later."""
    if isinstance(error, ApiException):
        return error.status == TOO_MANY or (error.status or 0) >= 500
    return isinstance(error, HTTPError | OSError)


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"]).strip().rstrip(".")
    except (ValueError, TypeError, KeyError):
        return str(error.reason or error.status)
