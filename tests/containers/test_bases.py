"""The public bases, or their stand-ins: whatever has the
public name does what docker-compose.yaml asks of it.
"""

import secrets
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.settings import PROJECT
from tests.containers.bases import BASES, inside, running, until
from tests.containers.said import said

if TYPE_CHECKING:
    from docker import DockerClient

MAKE = PROJECT / "containers" / "airgap" / "bases.sh"


def test_a_base_that_is_there_is_left_alone(engine: "DockerClient", bases: None) -> None:
    before = [engine.images.get(name).id for name in BASES]
    began = time.monotonic()
    subprocess.run([MAKE], check=True, capture_output=True)
    assert [engine.images.get(name).id for name in BASES] == before
    assert time.monotonic() - began < 30


def test_a_base_without_a_stand_in_is_named_with_those_that_have_one(engine: "DockerClient") -> None:
    told = subprocess.run([MAKE, "mysql:8"], capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "mysql:8 has no stand-in. There are: python:3.11" in told.stderr


def test_without_an_engine_a_sentence_says_what_to_do(tmp_path: Path) -> None:
    variables = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    told = subprocess.run([MAKE], env=variables, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "no Docker engine answers" in told.stderr


def test_postgres_makes_its_database_once_and_asks_for_the_password(
    engine: "DockerClient", bases: None, tmp_path: Path
) -> None:
    password = secrets.token_hex(8)
    schema = 'echo "CREATE TABLE made (by text)" > /docker-entrypoint-initdb.d/1.sql'
    prepare = f"{schema}; exec docker-entrypoint.sh postgres"
    variables = {"POSTGRES_PASSWORD": password, "POSTGRES_USER": "owner", "POSTGRES_DB": "records"}
    with running(
        engine, "postgres:15-bookworm", environment=variables, entrypoint=["sh", "-c", prepare]
    ) as container:
        until(container, lambda: inside(container, "pg_isready -h 127.0.0.1 -U owner")[0] == 0)
        query = "psql -h $(hostname -i) -U owner records -Atc"
        assert inside(container, f"PGPASSWORD={password} {query} 'SELECT count(*) FROM made'") == (0, "0")
        assert inside(container, f"PGPASSWORD=wrong {query} 'SELECT 1'")[0] == 2
        assert (
            inside(container, f"PGPASSWORD={password} {query} \"INSERT INTO made VALUES ('first')\"")[0] == 0
        )
        assert inside(container, "stat -c %U /proc/1")[1] == "postgres"
        container.restart(timeout=20)
        until(container, lambda: inside(container, "pg_isready -h 127.0.0.1 -U owner")[0] == 0)
        assert inside(container, f"PGPASSWORD={password} {query} 'SELECT by FROM made'") == (0, "first")


def test_postgres_without_a_password_does_not_start(engine: "DockerClient", bases: None) -> None:
    with running(engine, "postgres:15-bookworm") as container:
        assert container.wait(timeout=60)["StatusCode"] == 1
        assert "POSTGRES_PASSWORD" in container.logs().decode()


def test_redis_takes_its_options_and_asks_for_the_password(engine: "DockerClient", bases: None) -> None:
    with running(
        engine, "redis:7-bookworm", ["redis-server", "--requirepass", "open", "--appendonly", "yes"]
    ) as container:
        ask = "redis-cli -h $(hostname -i) --no-auth-warning"
        until(container, lambda: inside(container, f"{ask} -a open ping") == (0, "PONG"))
        assert "NOAUTH" in inside(container, f"{ask} ping")[1]
        assert inside(container, "stat -c %U /proc/1")[1] == "redis"


def test_nginx_fills_its_templates_and_leaves_its_own_variables(engine: "DockerClient", bases: None) -> None:
    site = 'server { listen 8080; location / { return 200 "${ANSWER} $request_method"; } }'
    lay_out = "mkdir -p /etc/nginx/templates; printenv SITE > /etc/nginx/templates/site.conf.template"
    start = ["sh", "-c", f"{lay_out}; exec /docker-entrypoint.sh nginx -g 'daemon off;'"]
    variables = {"ANSWER": "hello", "SITE": site}
    with running(engine, "nginx:1.28-bookworm", entrypoint=start, environment=variables) as container:
        until(container, lambda: "master process" in inside(container, "tr '\\0' ' ' < /proc/1/cmdline")[1])
        ask = "exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
        assert said(container, "bash", "-c", ask)[1].endswith(b"hello GET")


def test_python_makes_environments_and_trusts_what_the_system_trusts(
    engine: "DockerClient", bases: None
) -> None:
    code = (
        "import ssl, sys, venv, ensurepip; print(sys.version_info[:2], "
        "len(ssl.create_default_context().get_ca_certs()) > 100)"
    )
    command = [
        "sh",
        "-c",
        f"python -c '{code}' && useradd --uid 10001 --gid 0 someone && update-ca-certificates --help",
    ]
    told = engine.containers.run(BASES[0], command, remove=True, stderr=True).decode()
    assert "(3, 11) True" in told
