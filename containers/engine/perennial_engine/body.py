"""The body of a container's creation: the fields that a step needs, each only with values that do no harm.

A field that is not here is refused, whatever it says: the engine gains fields with each release, and an
allow-list does not need to know them. What is sent on is written from these models, never what came in, so
that the engine's reader, which ignores case and takes the last of two equal names, can find nothing else in
it than we did.
"""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Never

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_pascal

from perennial_engine.rules import INSTALLATION_LABEL, STEP_LABEL, Refused, Rules

MOST_FAULTS = 10
NON_ROOT = r"^[1-9][0-9]{0,8}(:[0-9]{1,9})?$"
LINE = r"^[^\x00]*$"
TMPFS_OPTION = re.compile(
    r"rw|noexec|exec|nosuid|nodev|mode=[01]?[0-7]{3}|[ug]id=[0-9]{1,9}"
    r"|size=(?P<size>[0-9]{1,15})(?P<unit>[kmg]?)"
)
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
PATH = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}){1,8}")
SYSTEM_PATHS = ("/proc", "/sys", "/dev", "/etc")
# What the loader and the GPU runtime's hooks obey, outside the container too (CVE-2025-23266).
HOOKED_VARIABLES = re.compile(r"(LD|GCONV|NVIDIA)_.*|GLIBC_TUNABLES", re.DOTALL)

Text = Annotated[str, Field(max_length=65_536, pattern=LINE)]
Texts = Annotated[list[Text], Field(max_length=1024)]
Empty = Annotated[list[None], Field(max_length=0)]
EmptyMap = Annotated[dict[str, None], Field(max_length=0)]


class Part(BaseModel):
    """A part of the body: exact names, exact types, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_pascal)


class TmpfsOptions(Part):
    size_bytes: Annotated[int, Field(gt=0)]
    mode: Annotated[int, Field(ge=0, le=0o1777)] = 0o1777


class Mount(Part):
    """A declared volume, or memory.

    `VolumeOptions` is unknown on purpose: its driver options mount any folder of the host.
    """

    type: Literal["volume", "tmpfs"]
    target: Text
    source: Text | None = None
    read_only: bool = False
    tmpfs_options: TmpfsOptions | None = None


class DeviceRequest(Part):
    """GPUs, and nothing else."""

    driver: Literal["", "nvidia"] = ""
    count: Annotated[int, Field(ge=-1, le=64)] = 0
    device_ids: Annotated[
        list[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]], Field(alias="DeviceIDs", max_length=64)
    ] = []
    capabilities: Annotated[
        list[list[Literal["gpu", "compute", "utility"]]], Field(min_length=1, max_length=1)
    ]
    options: EmptyMap = {}


class LogConfig(Part):
    """The engine's own log files; a remote driver would send the log wherever the caller likes."""

    type: Literal["json-file", "local"]
    config: dict[
        Literal["max-size", "max-file", "compress"],
        Annotated[str, Field(pattern=r"^([0-9]{1,6}[kmg]?|true|false)$")],
    ] = {}


class RestartPolicy(Part):
    name: Literal["", "no"] = ""
    maximum_retry_count: Literal[0] = 0


class HostConfig(Part):
    memory: Annotated[int, Field(gt=0)]
    memory_swap: int
    memory_swappiness: Annotated[int, Field(ge=-1, le=100)] | None = None
    nano_cpus: Annotated[int, Field(gt=0)]
    pids_limit: Annotated[int, Field(gt=0)]
    shm_size: Annotated[int, Field(gt=0)] | None = None
    cap_drop: Annotated[list[Literal["ALL"]], Field(min_length=1, max_length=1)]
    cap_add: Empty = []
    security_opt: Annotated[
        list[Literal["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"]],
        Field(min_length=1, max_length=1),
    ]
    readonly_rootfs: Literal[True]
    network_mode: Text
    mounts: Annotated[list[Mount], Field(max_length=16)] = []
    tmpfs: Annotated[dict[Text, Text], Field(max_length=16)] = {}
    device_requests: Annotated[list[DeviceRequest], Field(max_length=1)] = []
    devices: Empty = []
    runtime: Literal["", "runc", "nvidia"] | None = None
    privileged: Literal[False] = False
    publish_all_ports: Literal[False] = False
    port_bindings: EmptyMap = {}
    binds: Empty = []
    ipc_mode: Literal["private", "none"] = "private"
    pid_mode: Literal[""] = ""
    uts_mode: Annotated[Literal[""], Field(alias="UTSMode")] = ""
    userns_mode: Literal[""] = ""
    cgroupns_mode: Literal["", "private"] | None = None
    oom_kill_disable: Literal[False] = False
    oom_score_adj: Annotated[int, Field(ge=0, le=1000)] | None = None
    init: bool | None = None
    auto_remove: bool = False
    log_config: LogConfig | None = None
    restart_policy: RestartPolicy | None = None


class NetworkingConfig(Part):
    endpoints_config: Annotated[dict[Text, EmptyMap], Field(max_length=1)] = {}


class Healthcheck(Part):
    """Only how to switch off the image's own."""

    test: Annotated[list[Literal["NONE"]], Field(min_length=1, max_length=1)]


class CreateBody(Part):
    """A step's container, as it is asked for and as it is sent on."""

    image: Text
    user: Annotated[str, Field(pattern=NON_ROOT)]
    labels: dict[Text, Text]
    host_config: HostConfig
    cmd: Texts | None = None
    entrypoint: Texts | None = None
    env: Texts = []
    working_dir: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9_./-]{0,255})?$")] = ""
    hostname: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,63}$")] = ""
    domainname: Literal[""] = ""
    tty: Literal[False] = False
    open_stdin: Literal[False] = False
    stdin_once: Literal[False] = False
    attach_stdin: Literal[False] = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    network_disabled: bool = False
    networking_config: NetworkingConfig | None = None
    exposed_ports: EmptyMap = {}
    volumes: EmptyMap = {}
    stop_signal: Literal["SIGTERM", "SIGINT", "SIGKILL"] | None = None
    stop_timeout: Annotated[int, Field(ge=0, le=600)] | None = None
    healthcheck: Healthcheck | None = None


def check(text: bytes, rules: Rules) -> bytes:
    """The body to send to the engine.

    Raises:
        Refused: It is no JSON object, or a field is unknown or has a value that is not allowed; each is
            named.
    """
    try:
        body = CreateBody.model_validate(parse(text))
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)
        ]
        raise Refused(_sentence(faults)) from None
    if faults := list(faults_of(body, rules)):
        raise Refused(_sentence(faults))
    return json.dumps(body.model_dump(by_alias=True, exclude_none=True)).encode()


def parse(text: bytes, what: str = "The body of a container's creation") -> dict[str, Any]:
    """The JSON object in `text`, without the fields that are null, which the engine takes for absent.

    Raises:
        Refused: It is none, or names a field twice.
    """
    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=_single, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(f"{what} must be one JSON object.") from None
    if not isinstance(document, dict):
        raise Refused(f"{what} must be one JSON object.")
    return document


def faults_of(body: CreateBody, rules: Rules) -> Iterator[str]:
    """Each thing about a well-formed body that the rules of this installation do not allow, as a sentence."""
    if body.image not in rules.images:
        yield f"Image {body.image!r} is not among the images of this installation, which are named by digest"
    yield from _labels(body.labels, rules)
    yield from _variables(body.env)
    yield from _limits(body.host_config, rules)
    yield from _networks(body, rules)
    for mount in body.host_config.mounts:
        yield from _mount(mount, rules)
    yield from _memory_mounts(body.host_config)


def _labels(labels: dict[str, str], rules: Rules) -> Iterator[str]:
    if labels.get(INSTALLATION_LABEL) != rules.installation:
        yield f"Labels must have {INSTALLATION_LABEL}={rules.installation}"
    if not labels.get(STEP_LABEL):
        yield f"Labels must have {STEP_LABEL}"
    if foreign := sorted(name for name in labels if not name.startswith("perennial.")):
        yield f"Labels {foreign} are not ours: others act on the labels of theirs"


def _variables(variables: list[str]) -> Iterator[str]:
    names = [variable.partition("=")[0] for variable in variables]
    if hooked := sorted({name for name in names if HOOKED_VARIABLES.fullmatch(name)}):
        yield f"Env {hooked} may not be set: programs outside the container obey them"


def _limits(host: HostConfig, rules: Rules) -> Iterator[str]:
    if host.memory > rules.memory_bytes:
        yield f"HostConfig.Memory is {host.memory} bytes, the limit is {rules.memory_bytes}"
    if host.memory_swap != host.memory:
        yield f"HostConfig.MemorySwap is {host.memory_swap}; it must equal Memory, so that nothing swaps"
    if (host.shm_size or 0) > host.memory:
        yield "HostConfig.ShmSize is larger than Memory"
    if host.nano_cpus > rules.cpus * 1e9:
        yield f"HostConfig.NanoCpus is {host.nano_cpus}, the limit is {rules.cpus:g} CPUs"
    if host.pids_limit > rules.pids:
        yield f"HostConfig.PidsLimit is {host.pids_limit}, the limit is {rules.pids}"


def _networks(body: CreateBody, rules: Rules) -> Iterator[str]:
    joined = [body.host_config.network_mode]
    if body.networking_config:
        joined += body.networking_config.endpoints_config
    if foreign := sorted(set(joined) - {rules.network}):
        yield f"The networks {foreign} may not be joined, only {rules.network!r}"


def _mount(mount: Mount, rules: Rules) -> Iterator[str]:
    if mount.type == "tmpfs":
        if mount.source is not None or mount.tmpfs_options is None:
            yield f"The tmpfs mount at {mount.target!r} must have TmpfsOptions.SizeBytes and no Source"
        return
    volume = rules.volumes.get(mount.target)
    if volume is None or mount.source != volume.name or mount.tmpfs_options is not None:
        yield f"The volume {mount.source!r} at {mount.target!r} is not one that this installation declares"
    elif volume.read_only and not mount.read_only:
        yield f"The volume {mount.source!r} at {mount.target!r} must be mounted ReadOnly"


def _memory_mounts(host: HostConfig) -> Iterator[str]:
    """A tmpfs without a size may grow to half of the host's memory."""
    sizes = {mount.target: mount.tmpfs_options.size_bytes for mount in host.mounts if mount.tmpfs_options}
    for target, options in host.tmpfs.items():
        found = [TMPFS_OPTION.fullmatch(option) for option in options.split(",")]
        given = [int(match["size"]) * UNITS[match["unit"]] for match in found if match and match["size"]]
        if not all(found) or len(given) != 1:
            yield (
                f"The tmpfs at {target!r} has the options {options!r}; size=... and harmless ones are "
                "expected"
            )
        sizes[target] = sum(given)
    for target in sizes:
        if not PATH.fullmatch(target) or target.startswith(SYSTEM_PATHS):
            yield f"A tmpfs may not be mounted at {target!r}"
    if sum(sizes.values()) > host.memory:
        yield "The tmpfs mounts together are larger than HostConfig.Memory"


def _sentence(faults: list[str]) -> str:
    more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
    return f"This container may not be created. {'; '.join(faults[:MOST_FAULTS])}{more}."


def _single(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise Refused("A field is named twice in the JSON, of which the engine would take the last.")
    return {name: value for name, value in pairs if value is not None}


def _no_constant(constant: str) -> Never:
    raise ValueError(constant)
