"""Google's credentials as Airflow's connection `google_cloud_default` says: for this process, and for a step.

Airflow's own hook makes sense of the connection: a key as a file or as text, the machine's own account, an
identity of another cloud, a chain of impersonation. This process uses the hook's credentials as they are. A
step cannot ask Airflow, and may run where this machine's files are not, so it is handed what it can use by
itself for as long as it runs: the key, or the key and whom to impersonate with it. Where there is no key, it
is handed nothing if the machine's own account is meant, since the step's machine has one too, and else a
token, which ends within an hour.
"""

import json
import os
from datetime import UTC
from pathlib import Path
from typing import Any

from airflow.providers.google.cloud.hooks.gcs import GCSHook
from airflow.providers.google.common.hooks.base_google import get_field
from airflow.sdk.exceptions import AirflowException
from google.auth import compute_engine
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request

from plugins.runners.connections import GOOGLE
from tasks.errors import InvalidProject
from tasks.stores import google

WRITTEN_DOWN = frozenset({"service_account", "authorized_user"})
OTHER_WAYS = ("key_secret_name", "credential_config_file")
Document = dict[str, Any]


def sign_in() -> dict[str, str]:
    """Let this process's files go by the connection, which there has to be; returns the variables of a step.

    Raises:
        InvalidProject: The connection cannot be made sense of, or Google refuses what it says.
    """
    hook = GCSHook(gcp_conn_id=GOOGLE)
    try:
        credentials, project = hook.get_credentials_and_project_id()
        handed = to_hand_over(hook, credentials)
    except (AirflowException, GoogleAuthError, OSError, ValueError) as error:
        raise InvalidProject(
            f"The Airflow connection {GOOGLE!r} does not lead to Google: {error}. Correct its extra."
        ) from error
    google.use(credentials)
    variables = {google.HANDED: json.dumps(handed) if handed else "", "GOOGLE_CLOUD_PROJECT": project or ""}
    return {name: value for name, value in variables.items() if value}


def to_hand_over(hook: GCSHook, credentials: Credentials) -> Document | None:
    """What a step is handed of these credentials, as `tasks.runtime.metadata_server` reads it."""
    if isinstance(credentials, AnonymousCredentials | compute_engine.Credentials):
        return None
    key = _written_down(hook.extras)
    if key is None:
        return _token(credentials)
    if not hook.impersonation_chain:
        return key
    *delegates, account = _as_list(hook.impersonation_chain)
    url = f"https://iamcredentials.{credentials.universe_domain}/v1/projects/-/serviceAccounts/{account}"
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": f"{url}:generateAccessToken",
        "delegates": delegates,
        "source_credentials": key,
    }


def _written_down(extra: Document) -> Document | None:
    """The key or the login that stands in the connection, or in the file that it or the environment names."""
    if given := get_field(extra, "keyfile_dict"):
        key: Document = json.loads(given) if isinstance(given, str) else given
        return {**key, "private_key": key["private_key"].replace("\\n", "\n")}
    if any(get_field(extra, way) for way in OTHER_WAYS):
        return None
    path = get_field(extra, "key_path") or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    found: Document = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    return found if found.get("type") in WRITTEN_DOWN else None


def _token(credentials: Credentials) -> Document:
    credentials.refresh(Request())
    return {
        "access_token": credentials.token,
        "expires_at": credentials.expiry.replace(tzinfo=UTC).timestamp(),
    }


def _as_list(chain: str | list[str]) -> list[str]:
    return [chain] if isinstance(chain, str) else list(chain)
