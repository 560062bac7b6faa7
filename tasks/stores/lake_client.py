"""What delta-rs is told of an object store."""

import json
import os

from tasks.stores import files, google


def client_options(url: str) -> dict[str, str]:
    """What delta-rs is told beside the environment's variables, so that it goes where the other clients go.

    A commit has to be refused where another writer made it first, which S3 does by the conditional put.
    delta-rs asks for that by default; a version that did not would lose rows without a word.
    """
    if url.startswith(("s3://", "s3a://")):
        plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
        return {"aws_conditional_put": "etag", **({"aws_allow_http": "true"} if plain else {})}
    if url.startswith(files.GOOGLE) and (emulator := os.environ.get("STORAGE_EMULATOR_HOST")):
        return {"google_base_url": emulator, "allow_http": "true", **_unsigned()}
    return {}


def _unsigned() -> dict[str, str]:
    """For an emulator, to which nobody signed in.

    `google_skip_signature` would not do: writes are signed all the same.
    """
    if google.signed_in():
        return {}
    key = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    return {"google_service_account_key": json.dumps(key)}
