"""Google's object store that lets nobody in but one account, that
account's key, and Airflow's connection.
"""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tasks.stores.google import HANDED
from tests.services.object_stores import BUCKET, ObjectStore, forget, google, point_to

OWNER = "airflow@our-project.iam.gserviceaccount.com"
LAKE = "lake@our-project.iam.gserviceaccount.com"
Key = dict[str, Any]


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def guarded(
    private_key: rsa.RSAPrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, ObjectStore]]:
    """Google's store twice, each open to one account."""
    folder = tmp_path_factory.mktemp("google")
    public = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "public.pem").write_bytes(public)
    started = {
        account: google(folder / f"{account}.log", "guarded", account, str(folder / "public.pem"))
        for account in (OWNER, LAKE)
    }
    for store in started.values():
        store.start()
    yield started
    for store in started.values():
        store.stop()


@pytest.fixture
def key(private_key: rsa.RSAPrivateKey, guarded: dict[str, ObjectStore]) -> Key:
    """The key of the account `OWNER`, as Google's console gives it out."""
    pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "our-project",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": OWNER,
        "client_id": "1",
        "token_uri": f"{guarded[OWNER].url}/token",
    }


@pytest.fixture
def place(guarded: dict[str, ObjectStore], home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty place that only `OWNER` may use; no credentials are in the environment."""
    url = f"gs://{BUCKET}/{uuid.uuid4().hex[:8]}"
    point_to(guarded[OWNER], url, home, monkeypatch)
    yield url
    os.environ.pop(HANDED, None)
    os.environ.pop("GOOGLE_CLOUD_PROJECT", None)
    forget()


def connect(monkeypatch: pytest.MonkeyPatch, **extra: Any) -> None:
    connection = {"conn_type": "google_cloud_platform", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
