"""What a command says in a running container, all of it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker.models.containers import Container

END = b"\nall was said"
THEN_SAY_SO = f"\"$@\"; code=$?; printf '\\n%s' '{END.decode().strip()}'; exit $code"
TRIES = 10


def said(container: "Container", *command: str) -> tuple[int, bytes]:
    """How a command ended and what it said.

    Docker's client now and then loses what is said before it listens (docker/docker-py#2042), which reads
    like a command that said nothing. So the command says when it is done, and is run again where that did
    not come.

    Args:
        command: May run more than once.
    """
    for _ in range(TRIES):
        code, output = container.exec_run(["sh", "-c", THEN_SAY_SO, "sh", *command])
        if output.endswith(END):
            return code, bytes(output.removesuffix(END))
    raise AssertionError(f"{command} in {container.name} was asked {TRIES} times and nothing came: {output}")
