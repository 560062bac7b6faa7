"""Ask a revision of a Cloud Run service by an address of its own, as a user would."""

import time
from typing import Any

import google.auth.compute_engine
import google.auth.impersonated_credentials
import google.oauth2.service_account
from google.auth.credentials import Credentials
from google.auth.transport.requests import Request

from tasks.contracts import CloudRunPlan
from tasks.errors import ServingError
from tasks.serving.oip_api import OipApi

AGAIN_SECONDS, GIVE_UP_SECONDS = 2.0, 60.0
"""An address that was just made is not known everywhere at once."""


class Revision(OipApi):
    """A revision's server, which wants our token, behind Cloud Run, which may want Google's.

    Args:
        identity: A token for Cloud Run; None where the credentials give none, as for a public service.
    """

    def __init__(self, url: str, token: str, identity: str | None) -> None:
        super().__init__(url)
        self._headers = {"Authorization": f"Bearer {token}"}
        if identity is not None:
            self._headers["X-Serverless-Authorization"] = f"Bearer {identity}"

    def headers(self, kind: str) -> dict[str, str]:  # noqa: ARG002 - there is only what asks a model
        """See `OipApi.headers`."""
        return self._headers


def ask_example(plan: CloudRunPlan, server: Revision, again_seconds: float = AGAIN_SECONDS) -> dict[str, Any]:
    """The revision's whole answer to the version's example.

    Raises:
        ServingError: It does not answer within a minute, or refuses the example.
    """
    ends = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            return server.predict(plan.model, plan.version, plan.example, plan.timeout_seconds)
        except ServingError:
            if time.monotonic() > ends:
                raise
            time.sleep(again_seconds)


def identity_token(credentials: Credentials, audience: str) -> str | None:
    """A token that tells Cloud Run who asks; None where these credentials cannot give one.

    Args:
        audience: The service's own address, whichever of its revisions is asked.
    """
    request = Request()
    made = _identity(credentials, audience, request)
    if made is None:
        return None
    made.refresh(request)
    return str(made.token)


def _identity(credentials: Credentials, audience: str, request: Request) -> Credentials | None:
    if isinstance(credentials, google.oauth2.service_account.Credentials):
        return google.oauth2.service_account.IDTokenCredentials(
            signer=credentials.signer,
            service_account_email=credentials.service_account_email,
            token_uri=credentials._token_uri,  # noqa: SLF001 - the library has no other way to tell it
            target_audience=audience,
        )
    if isinstance(credentials, google.auth.impersonated_credentials.Credentials):
        return google.auth.impersonated_credentials.IDTokenCredentials(
            credentials, target_audience=audience, include_email=True
        )
    if isinstance(credentials, google.auth.compute_engine.Credentials):
        return google.auth.compute_engine.IDTokenCredentials(
            request, audience, use_metadata_identity_endpoint=True
        )
    return None
