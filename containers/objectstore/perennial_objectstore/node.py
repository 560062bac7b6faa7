"""What the node is told, and the files that tell it to Swift: settings and rings, written anew at each start.

Only the data and the suffix that Swift hashes names with are kept in the node's folder; without that suffix
no object would be found again.
"""

import os
import pwd
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PARTITION_POWER = 7
DEVICE = "disk"
BACKENDS = ("object", "container", "account")
FILTERS = {
    "catch_errors": "use = egg:swift#catch_errors",
    "gatekeeper": "use = egg:swift#gatekeeper",
    "healthcheck": "use = egg:swift#healthcheck\ndisable_path = {starting}",
    "memory": "paste.filter_factory = perennial_objectstore.filters:memory",
    "listing_formats": "use = egg:swift#listing_formats",
    "s3api": "use = egg:swift#s3api\nlocation = {region}\nmax_upload_part_num = 10000",
    "tempauth": "use = egg:swift#tempauth\nuser_{user} = {secret} .admin",
    "copy": "use = egg:swift#copy",
    "slo": "use = egg:swift#slo\nmax_manifest_segments = 10000",
    "dlo": "use = egg:swift#dlo",
    "versioned_writes": "use = egg:swift#versioned_writes",
    "one_writer": "paste.filter_factory = perennial_objectstore.filters:one_writer",
}


class InvalidSettings(Exception):
    """A variable of the environment is missing or wrong."""


@dataclass(frozen=True)
class Node:
    """A node's settings.

    Attributes:
        folder: Where the data lies; a volume.
        scratch: Where Swift's settings are written, the secret among them; not kept.
        port: Where S3 is spoken.
        backend_port: The first of three ports of the loopback interface.
        access_key: `<account>:<user>`; an S3 client's access key.
    """

    folder: Path
    scratch: Path
    host: str
    port: int
    backend_port: int
    access_key: str
    secret: str
    region: str
    buckets: tuple[str, ...]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Node":
        """The node that the environment describes.

        Raises:
            InvalidSettings: A credential is missing, or cannot be one.
        """
        access_key, secret = (
            environment.get("AWS_ACCESS_KEY_ID", ""),
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
        )
        if not re.fullmatch(r"[a-z0-9]+:[a-z0-9]+", access_key):
            raise InvalidSettings(
                "AWS_ACCESS_KEY_ID must be two words of lower-case letters and digits, with a colon between "
                "them."
            )
        if not re.fullmatch(r"[!-~]{8,}", secret) or "%" in secret:
            raise InvalidSettings(
                "AWS_SECRET_ACCESS_KEY must be 8 or more visible ASCII characters without a per cent sign."
            )
        return cls(
            folder=Path(environment.get("OBJECTSTORE_FOLDER", "/srv/objectstore")),
            scratch=Path(tempfile.gettempdir(), f"objectstore-{environment.get('OBJECTSTORE_PORT', '9000')}"),
            host=environment.get("OBJECTSTORE_HOST", "0.0.0.0"),  # noqa: S104 - a service of its network
            port=int(environment.get("OBJECTSTORE_PORT", "9000")),
            backend_port=int(environment.get("OBJECTSTORE_BACKEND_PORT", "6200")),
            access_key=access_key,
            secret=secret,
            region=environment.get("AWS_REGION", "us-east-1"),
            buckets=tuple(environment.get("OBJECTSTORE_BUCKETS", "").replace(",", " ").split()),
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def starting(self) -> Path:
        """While this file is there, the node calls itself unhealthy."""
        return self.scratch / "starting"

    def settings_of(self, server: str) -> Path:
        return self.scratch / f"{server}.conf"

    def prepare(self) -> None:
        """Write everything that Swift reads.

        Raises:
            InvalidSettings: There is data, but the suffix that it was stored with is lost.
        """
        (self.folder / "devices" / DEVICE).mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(mode=0o700, exist_ok=True)
        self.starting.touch()
        _write(self.scratch / "swift.conf", f"[swift-hash]\nswift_hash_path_suffix = {self._suffix()}\n")
        for number, server in enumerate(BACKENDS):
            _write(self.settings_of(server), self._backend(server, self.backend_port + number))
        _write(self.settings_of("proxy"), self._proxy())
        self._write_rings()

    def _suffix(self) -> str:
        kept = self.folder / "hash_suffix"
        if not kept.exists():
            if any((self.folder / "devices" / DEVICE).iterdir()):
                raise InvalidSettings(
                    f"{kept} is missing, but there is data beside it. Restore both from one backup."
                )
            _write(kept, secrets.token_hex(16))
        return kept.read_text(encoding="ascii")

    def _common(self, host: str, port: int) -> str:
        user = pwd.getpwuid(os.getuid()).pw_name
        return (
            f"[DEFAULT]\nbind_ip = {host}\nbind_port = {port}\nuser = {user}\nswift_dir = {self.scratch}\n"
            f"devices = {self.folder}/devices\nmount_check = false\nworkers = 0\nlog_level = "
            "WARNING\nfallocate_reserve = 1%\n"
            f"recon_cache_path = {self.scratch}\n"
            # A listing lags behind its objects only where an update of it takes longer than this.
            "container_update_timeout = 10\n"
        )

    def _backend(self, server: str, port: int) -> str:
        text = f"{self._common('127.0.0.1', port)}[pipeline:main]\npipeline = {server}-server\n"
        text += f"[app:{server}-server]\nuse = egg:swift#{server}\n[{server}-replicator]\n"
        return text + ("[object-updater]\ninterval = 10\n" if server == "object" else "")

    def _proxy(self) -> str:
        names = {
            "starting": self.starting,
            "region": self.region,
            "user": self.access_key.replace(":", "_"),
            "secret": self.secret,
        }
        filters = "".join(f"[filter:{name}]\n{text.format(**names)}\n" for name, text in FILTERS.items())
        pipeline = f"[pipeline:main]\npipeline = {' '.join(FILTERS)} proxy-server\n"
        # There is one server of each kind: to shun it for a minute after ten errors only prolongs an outage.
        suppress = "error_suppression_interval = 1\n"
        app = f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{suppress}"
        return f"{self._common(self.host, self.port)}{pipeline}{app}{filters}"

    def _write_rings(self) -> None:
        """One device holds everything, so the rings are the same at each start."""
        from swift.common.ring import RingBuilder

        for number, server in enumerate(BACKENDS):
            address = {"ip": "127.0.0.1", "port": self.backend_port + number}
            replication = {f"replication_{name}": value for name, value in address.items()}
            device = {
                "id": 0,
                "region": 1,
                "zone": 1,
                "device": DEVICE,
                "weight": 1.0,
                "meta": "",
                **address,
                **replication,
            }
            builder = RingBuilder(PARTITION_POWER, 1, 0)
            builder.add_dev(device)
            builder.rebalance(seed="perennial")
            builder.get_ring().save(str(self.scratch / f"{server}.ring.gz"))


def _write(path: Path, text: str) -> None:
    """Write a file that only this user reads, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.touch(mode=0o600)
    part.write_text(text, encoding="ascii")
    part.replace(path)
