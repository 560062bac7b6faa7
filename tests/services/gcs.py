"""Google's object store for tests: the package index's emulator,
and beside it what the emulator lacks and our clients use.

gcsfs and google-cloud-storage speak the JSON interface, which the emulator has; delta-rs speaks the XML
interface, of which it has reading and writing only. Missing are, and added here by Google's documentation:
XML's list and delete, the headers of its answers, the words for an object that is missing, and in both
interfaces the precondition that an object must not be there (generation 0). Requests are answered one at a
time, so the precondition is atomic, as it is at Google.

`python -m tests.services.gcs <port> <bucket> [careless]`; a careless one ignores preconditions, as the
emulator by itself does. With `guarded <account> <public key>` it also stands in for what gives tokens at
Google, and serves objects to that account's token alone: a token is given for an assertion that the key's
owner signed, or to who has one and impersonates.
"""

import json
import sys
import threading
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from gcp_storage_emulator import server
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.storage import Storage
from google.auth import jwt

OBJECT = r"^/(?P<bucket_name>[-.\w]+)/(?P<object_id>.*[^/]+)$"
BUCKET = r"^/(?P<bucket_name>[-.\w]+)/?$"


def there(storage: Storage, bucket: str, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = storage.get_file_obj(bucket, name)
    except NotFound:
        return None
    return found


def tell(response: Any, stored: dict[str, Any]) -> None:
    response["ETag"] = f'"{stored["generation"]}"'
    response["x-goog-generation"] = stored["generation"]
    response["Last-Modified"] = formatdate(int(stored["generation"]) / 1e9, usegmt=True)


def xml_put(request: Any, response: Any, storage: Storage) -> None:
    bucket, name = request.params["bucket_name"], request.params["object_id"]
    if request.get_header("x-goog-if-generation-match") == "0" and there(storage, bucket, name):
        response.status = HTTPStatus.PRECONDITION_FAILED
        return
    objects.xml_upload(request, response, storage)
    if stored := there(storage, bucket, name):
        tell(response, stored)


def xml_get(request: Any, response: Any, storage: Storage) -> None:
    objects.download(request, response, storage)
    if stored := there(storage, request.params["bucket_name"], request.params["object_id"]):
        tell(response, stored)


def json_download(request: Any, response: Any, storage: Storage) -> None:
    bucket, name = request.params["bucket_name"], request.params["object_id"]
    objects.download(request, response, storage)
    if response.status == HTTPStatus.NOT_FOUND:
        response.write_file(f"No such object: {bucket}/{name}", "text/html")


def xml_delete(request: Any, response: Any, storage: Storage) -> None:
    try:
        storage.delete_file(request.params["bucket_name"], request.params["object_id"])
        response.status = HTTPStatus.NO_CONTENT
    except NotFound:
        response.status = HTTPStatus.NOT_FOUND


def xml_list(request: Any, response: Any, storage: Storage) -> None:
    asked = {name: request.query.get(name, [""])[0] for name in ("prefix", "delimiter", "start-after")}
    try:
        found, prefixes = storage.get_file_list(
            request.params["bucket_name"], asked["prefix"] or None, asked["delimiter"] or None
        )
    except NotFound:
        response.status = HTTPStatus.NOT_FOUND
        response.write_file("<Error><Code>NoSuchBucket</Code></Error>", "application/xml")
        return
    rows = "".join(
        f"<Contents><Key>{escape(each['name'])}</Key><LastModified>{each['updated']}</LastModified>"
        f"<ETag>{each['generation']}</ETag><Size>{each['size']}</Size></Contents>"
        for each in found
        if each["name"] > asked["start-after"]
    )
    rows += "".join(
        f"<CommonPrefixes><Prefix>{escape(prefix)}</Prefix></CommonPrefixes>" for prefix in prefixes
    )
    response.write_file(
        f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>", "application/xml"
    )


def created_once(insert: Any) -> Any:
    """The JSON interface's upload, refused where it asks for generation 0 and the object is there."""

    def handler(request: Any, response: Any, storage: Storage, *args: Any, **kwargs: Any) -> None:
        name = (request.query.get("name") or [""])[0] or _name_in_body(request)
        if request.query.get("ifGenerationMatch") == ["0"] and there(
            storage, request.params["bucket_name"], name
        ):
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"code": 412, "message": "conditionNotMet"}})
            return
        insert(request, response, storage, *args, **kwargs)

    return handler


def _name_in_body(request: Any) -> str:
    return (
        str(request.data["meta"]["name"]) if isinstance(request.data, dict) and "meta" in request.data else ""
    )


class OneAtATime(server.Router):
    """Answers one request after the other, but hears and speaks to all at once.

    delta-rs holds the interpreter while it waits for its answer, so another client of its process could not
    end what it is sending meanwhile.
    """

    lock = threading.Lock()
    read = staticmethod(server._read_raw_data)

    def handle(self, method: str) -> None:
        asked = self._request_handler
        asked.body, client, asked.wfile = self.read(asked), asked.wfile, BytesIO()
        with self.lock:
            self.answer(method)
        client.write(asked.wfile.getvalue())
        asked.wfile = client

    def answer(self, method: str) -> None:
        super().handle(method)


# --- who may ------------------------------------------------------------------------------------------------

TOKEN = "token-of-"
GIVES_TOKENS = ("/", "/token")


def signed_token(public_key: str) -> Any:
    """What `oauth2.googleapis.com/token` does: a token for who proves to have the key; where an identity for
    an audience is asked for, that is the proof itself, which says as much.
    """

    def handler(request: Any, response: Any, storage: Storage) -> None:
        assertion = parse_qs(request.data.decode())["assertion"][0]
        claims = jwt.decode(assertion, certs=public_key)
        if "target_audience" in claims:
            response.json({"id_token": assertion})
            return
        response.json({"access_token": f"{TOKEN}{claims['iss']}", "expires_in": 3600, "token_type": "Bearer"})

    return handler


def impersonation(request: Any, response: Any, storage: Storage) -> None:
    """What `iamcredentials.googleapis.com` does: another account's token for who is known."""
    if not str(request.get_header("Authorization")).startswith(f"Bearer {TOKEN}"):
        response.status = HTTPStatus.UNAUTHORIZED
        return
    ends = datetime.now(UTC) + timedelta(hours=1)
    token = f"{TOKEN}{request.params['account']}"
    response.json({"accessToken": token, "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")})


class Guard(OneAtATime):
    """Lets requests for objects pass with the token of one account."""

    account = ""

    def answer(self, method: str) -> None:
        asked = self._request_handler
        free = asked.path in GIVES_TOKENS or asked.path.endswith(":generateAccessToken")
        if free or asked.headers.get("Authorization") == f"Bearer {TOKEN}{self.account}":
            super().answer(method)
            return
        body = json.dumps({"error": {"code": 401, "message": "Unauthorized"}}).encode()
        asked.send_response(HTTPStatus.UNAUTHORIZED)
        asked.send_header("Content-Length", str(len(body)))
        asked.end_headers()
        asked.wfile.write(body)


def guard(account: str, public_key: str) -> None:
    Guard.account = account
    server.Router = Guard
    server.HANDLERS = (
        ("^/token$", {"POST": signed_token(Path(public_key).read_text())}),
        (
            r"^/v1/projects/-/serviceAccounts/(?P<account>[^:/]+):generateAccessToken$",
            {"POST": impersonation},
        ),
        *server.HANDLERS,
    )


def main() -> None:
    port, bucket, how = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if how != ["careless"]:
        objects.insert = created_once(objects.insert)
    instead = {
        f"^{server.settings.UPLOAD_API_ENDPOINT}": {"POST": objects.insert},
        f"^{server.settings.DOWNLOAD_API_ENDPOINT}": {"GET": json_download},
    }
    changed = [
        (pattern, methods | next((ours for start, ours in instead.items() if pattern.startswith(start)), {}))
        for pattern, methods in server.HANDLERS
        if pattern != OBJECT
    ]
    server.HANDLERS = (
        *changed,
        (BUCKET, {"GET": xml_list}),
        (OBJECT, {"GET": xml_get, "PUT": xml_put, "DELETE": xml_delete, "HEAD": xml_get}),
    )
    server.RequestHandler.do_HEAD = lambda handler: server.Router(handler).handle("HEAD")
    server.server.HTTPServer = ThreadingHTTPServer
    server._read_raw_data = lambda asked: asked.body
    server.Router = OneAtATime
    if how[:1] == ["guarded"]:
        guard(*how[1:])
    server.create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket).run()


if __name__ == "__main__":
    main()
