"""What went wrong with an object store, as a sentence that names the setting to look at.

Three libraries reach the store (s3fs, gcsfs and delta-rs), each with errors of its own: classes here, HTTP
statuses there, and of delta-rs only a text. What cannot be told apart by class is told by the words that they
are known to use.
"""

import os
import re
from collections.abc import Iterator

from tasks.errors import PerennialError, StoreRefused, StoreUnreachable

OF_A_STORE = (
    r"botocore\.",
    r"gcsfs\.",
    r"google\.auth\.",
    r"aiohttp\.client",
    r"Generic (S3|GCS) error",
    r"lacked the necessary privileges",
    r"Error performing (GET|PUT|POST|HEAD|DELETE|list)",
)
KINDS = {
    "tls": (r"SSL", r"certificate", r"TLS", r"InvalidContentType", r"corrupt message"),
    "anonymous": (r"NoCredentials", r"169\.254\.169\.254", r"metadata\.google", r"DefaultCredentials"),
    "bucket": (r"NoSuchBucket", r"bucket does not exist", r"InvalidBucketName"),
    "refused": (
        r"AccessDenied",
        r"SignatureDoesNotMatch",
        r"InvalidAccessKeyId",
        r"ExpiredToken",
        r"Forbidden",
        r"Unauthorized",
        r"\b40[13]\b",
        r"privileges",
        r"invalid_grant",
        r"RefreshError",
    ),
}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def explained(error: BaseException) -> PerennialError | None:
    """The fault as a sentence; None where the error is not of an object store,
    or says what it means already.
    """
    said = "\n".join(_words(error))
    if isinstance(error, PerennialError) or not _says(said, OF_A_STORE):
        return None
    kind = next((name for name, words in KINDS.items() if _says(said, words)), "down")
    if isinstance(error, FileNotFoundError | FileExistsError) and kind != "bucket":
        return None
    sentence = _sentence(kind)
    found = StoreUnreachable if kind == "down" else StoreRefused
    return found(f"{sentence} It said: {_short(said)}", setting=_variables()[0])


def caused_by(error: BaseException, word: str) -> bool:
    """Whether an error, or what caused it, has this word."""
    return any(word in text for text in _words(error))


def _says(text: str, words: tuple[str, ...]) -> bool:
    return any(re.search(word, text, re.IGNORECASE) for word in words)


def _words(error: BaseException | None) -> Iterator[str]:
    """Class and text of an error and of its causes."""
    while error is not None:
        kind = type(error)
        yield f"{kind.__module__}.{kind.__name__}: {COLOUR.sub('', str(error))}"
        error = error.__cause__


def _sentence(kind: str) -> str:
    address, keys = _variables()
    where = os.environ.get(address) or "its cloud's own address"
    return {
        "tls": (
            f"The object store at {where} cannot be reached by TLS. Let {address} start with http:// where "
            "the store has no certificate; where it has one of your own authority, set AWS_CA_BUNDLE and "
            "SSL_CERT_FILE to that."
        ),
        "anonymous": f"There are no credentials for the object store at {where}. Set {keys}.",
        "bucket": (
            f"The object store at {where} has no such bucket. Create it, or correct PERENNIAL_STORE_URL."
        ),
        "refused": (
            f"The object store at {where} refuses these credentials. Correct {keys}, or give them the right "
            "to read and write the bucket of PERENNIAL_STORE_URL."
        ),
        "down": (
            f"The object store at {where} does not answer as it should. Look whether it runs, and whether "
            f"{address} is right."
        ),
    }[kind]


def _variables() -> tuple[str, str]:
    """What sets the store's address, and what its credentials."""
    from tasks.settings import settings

    if settings().runs.startswith(("gs://", "gcs://")) or settings().lake.startswith(("gs://", "gcs://")):
        return "STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY"
    return "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def _short(said: str, length: int = 400) -> str:
    text = " ".join(said.split())
    return text if len(text) <= length else f"{text[:length]}…"
