"""Whatever is sent, the gateway answers what its own OpenAPI document declares, and goes on.

What is sent is made by Schemathesis from that document, for every path of it, valid and invalid; and bodies,
content types and headers that no document would lead to by Hypothesis.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tasks.settings import PROJECT
from tests.services.conftest import ENVIRONMENTS, Model, Platform

CONFIG = PROJECT / "tests" / "services" / "schemathesis.toml"
TOKEN = "a-token-of-the-fuzz"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SOME = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
INSTANCE = st.fixed_dictionaries({"text": st.text(min_size=1, max_size=30)}) | ANYTHING
BODIES = (
    st.fixed_dictionaries({"instances": st.lists(INSTANCE, max_size=4)})
    | st.fixed_dictionaries(
        {
            "feedback": st.lists(
                st.fixed_dictionaries(
                    {"prediction_id": st.text("0123456789abcdef", max_size=33), "label": ANYTHING}
                )
                | ANYTHING,
                max_size=4,
            )
        }
    )
    | ANYTHING
).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)
KINDS = st.sampled_from(
    ["application/json", "application/x-ndjson", "text/plain", "", "application/json; charset=x"]
)
LETTERS = st.characters(min_codepoint=33, max_codepoint=126)
HEADERS = st.dictionaries(
    st.sampled_from(["X-Request-Timeout", "traceparent", "X-Perennial-Version", "Accept", "X-Perennial-Key"]),
    st.text(LETTERS, max_size=60)
    | st.sampled_from(["0.5", "-1", "nan", "1e999", f"00-{'a' * 32}-{'b' * 16}-01"]),
)


@pytest.fixture(scope="module")
def document(services: Platform, steady: Model) -> Iterator[dict[str, Any]]:
    """The document of a gateway that others could reach."""
    with services.listening(PREDICTION_TOKENS=f"fuzz={TOKEN}"):
        found: dict[str, Any] = requests.get(f"{services.gateway_url}/openapi.json", timeout=30).json()
        yield found


def require_declared(document: dict[str, Any], path: str, method: str, answer: requests.Response) -> None:
    """The status is one that is declared, and the body is what is declared for it."""
    declared = document["paths"][path][method.lower()]["responses"]
    assert str(answer.status_code) in declared, (path, answer.status_code, answer.text[:300])
    content = declared[str(answer.status_code)]["content"]
    kind = answer.headers["Content-Type"].split(";")[0]
    assert kind in content, (path, answer.status_code, kind)
    if kind == "application/json":
        schema = {"$id": "urn:d", **document, "$ref": "#/components/schemas/Error"}
        if answer.status_code < 400:
            schema = content[kind]["schema"]
        Draft202012Validator(schema).validate(answer.json())


def send(platform: Platform, path: str, method: str, **how: Any) -> requests.Response:
    how["headers"] = BEARER | how.get("headers", {})
    return requests.request(method, f"{platform.gateway_url}{path}", timeout=60, **how)


@SOME
@given(body=BODIES, kind=KINDS, headers=HEADERS, data=st.data())
def test_whatever_body_is_sent_the_answer_is_a_declared_one(
    services: Platform, document: dict[str, Any], body: bytes, kind: str, headers: dict[str, str], data: Any
) -> None:
    path = data.draw(st.sampled_from([path for path, of in document["paths"].items() if "post" in of]))
    answer = send(services, path, "POST", data=body, headers=headers | {"Content-Type": kind})
    require_declared(document, path, "POST", answer)
    assert answer.status_code < 500, answer.text


def test_what_the_document_says_holds(services: Platform, document: dict[str, Any], tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(ENVIRONMENTS / "dev" / "bin" / "schemathesis", "--config-file", CONFIG),
            *("run", f"{services.gateway_url}/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
        ],
        cwd=tmp_path,  # it keeps what it found
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"Operations: +(\d+) selected / (\d+) total", done.stdout)
    others = len(document["paths"]) - 1  # it asks for the document itself before
    assert found is not None
    assert (int(found[1]), int(found[2])) == (others, others)


@SOME
@given(
    data=st.data(),
    authorization=st.text(LETTERS, max_size=300),
    method=st.sampled_from(["GET", "POST", "PUT"]),
)
def test_who_bears_no_token_gets_nothing_and_no_fault(
    services: Platform, document: dict[str, Any], data: Any, authorization: str, method: str
) -> None:
    guarded = [
        path for path, of in document["paths"].items() for each in of.values() if "security" not in each
    ]
    path = data.draw(st.sampled_from([*guarded, "/internal/tokens", "/internal/routes/m", "/v1/nothing"]))
    answer = send(services, path, method, headers={"Authorization": authorization}, data=b"{}")
    assert answer.status_code in {401, 405}, (path, answer.status_code, answer.text)
