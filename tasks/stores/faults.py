"""What went wrong with an object store or with MLflow, as a sentence that says where to look.

Three libraries reach the store (s3fs, gcsfs and delta-rs), each with errors of its own: classes here, HTTP
statuses there, and of delta-rs only a text. What cannot be told apart by class is told by the words that they
are known to use.
"""

import os
import re
from collections.abc import Iterator

from tasks.errors import MlflowRefused, PerennialError, StoreRefused, StoreUnreachable

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
# What MLflow says no to, it says no to however often it is asked.
FINAL_IN_MLFLOW = frozenset(
    {
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "PERMISSION_DENIED",
        "RESOURCE_DOES_NOT_EXIST",
        "UNAUTHENTICATED",
    }
)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def explain(error: BaseException) -> PerennialError | None:
    """The fault as a sentence; None where the error is of neither, or says what it means already."""
    said = "\n".join(_words(error))
    if isinstance(error, PerennialError):
        return None
    if _is_refusal_of_mlflow(error):
        return _refusal_of_mlflow(said)
    if not _says(said, OF_A_STORE):
        return None
    kind = next((name for name, words in KINDS.items() if _says(said, words)), "down")
    if isinstance(error, FileNotFoundError | FileExistsError) and kind != "bucket":
        return None
    sentence = _sentence(kind)
    found = StoreUnreachable if kind == "down" else StoreRefused
    return found(f"{sentence} It said: {_short(said)}", setting=_variables()[0])


def _is_refusal_of_mlflow(error: BaseException) -> bool:
    """By name, since nobody imports MLflow only to ask this; of its files, it is a plain HTTP error."""
    if type(error).__module__ == "mlflow.exceptions":
        return getattr(error, "error_code", None) in FINAL_IN_MLFLOW
    answer = getattr(error, "response", None)
    return getattr(answer, "status_code", None) in {401, 403} and "/mlflow-artifacts/" in str(
        getattr(answer, "url", "")
    )


def _refusal_of_mlflow(said: str) -> PerennialError:
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    return MlflowRefused(
        f"MLflow refuses what this step asks as {f'the user {user}' if user else 'nobody in particular'}: "
        "somebody deleted what it needs, or the user may not do it (docs/steps.md says who may do what). It "
        f"said: {_short(said)}",
        user=user,
    )


def has_cause(error: BaseException, word: str) -> bool:
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
        keys = "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT_KEY"
        return "STORAGE_EMULATOR_HOST", f"Airflow's connection google_cloud_default, {keys}"
    return "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def _short(said: str, length: int = 400) -> str:
    text = " ".join(said.split())
    return text if len(text) <= length else f"{text[:length]}…"
