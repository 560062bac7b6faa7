"""Which version answers a request, and which sees a copy of it, while a model has two."""

import random
import re
from hashlib import sha256
from typing import Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from perennial_gateway.database import Text
from perennial_gateway.routes import Route, Served
from perennial_gateway.web import Headers, Refused, header

VERSION_HEADER = b"x-perennial-version"
"""By it a tester names the version that is to answer."""

STICKY = re.compile(r"sender|header:[A-Za-z0-9!#$%&'*+.^_`|~-]{1,63}|")

Role = Literal["stable", "candidate"]


class TrafficSplit(BaseModel):
    """The contract `TrafficSplit` of the steps, as the gateway needs it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract_version: Literal[1] = 1
    release_id: Text = Field(min_length=1, max_length=200)
    kind: Literal["canary", "shadow", "ab"]
    candidate: Route
    share: float = Field(default=0.0, ge=0, le=1)
    shadow_share: float = Field(default=0.0, ge=0, le=1)
    sticky_by: str = ""

    @field_validator("sticky_by")
    @classmethod
    def _known(cls, sticky_by: str) -> str:
        if not STICKY.fullmatch(sticky_by):
            raise ValueError(f"is {sticky_by[:80]!r}; `sender`, `header:<name>` or nothing is expected")
        return sticky_by

    @classmethod
    def of(cls, model: str, document: Any) -> Self:
        """What was put for a model.

        Raises:
            Refused: 422; the document is no split of the model.
        """
        try:
            split = cls.model_validate(document)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'document'}: {fault['msg']}"
                for fault in error.errors()
            )
            raise Refused(422, f"This is not a split: {faults}.") from error
        if split.candidate.model != model:
            raise Refused(
                422, f"The candidate is of the model {split.candidate.model!r}, but was put for {model!r}."
            )
        return split


class Chosen(NamedTuple):
    """What a request gets.

    Attributes:
        served: The version that answers it.
        role: As which; None where the caller named the version, so that what testers send is in no comparison
            of what callers were given by chance.
        shadow: A version to which a copy goes after the answer.
    """

    served: Served
    role: Role | None
    shadow: Served | None = None


def draw(release_id: str, key: str) -> float:
    """Where a caller lies in [0, 1): evenly, always the same in one rollout, and independent of others."""
    return int.from_bytes(sha256((release_id + key).encode()).digest()[:7]) / (1 << 56)


class Routing:
    """Where one model's requests go."""

    def __init__(
        self, stable: Served, split: TrafficSplit | None = None, candidate: Served | None = None
    ) -> None:
        self.stable = stable
        self.split = split
        self.candidate = candidate
        self._named = {stable.route.model_version: Chosen(stable, None)}
        self._stable = self._copied = Chosen(stable, "stable")
        if candidate is not None:
            self._copied = Chosen(stable, "stable", candidate)
            self._candidate = Chosen(candidate, "candidate")
            self._named = {candidate.route.model_version: Chosen(candidate, None)} | self._named

    def choose(self, sender: str | None, headers: Headers) -> Chosen:
        """What a request gets; raises as `named`."""
        asked = header(headers, VERSION_HEADER)
        if asked is not None:
            return self.named(asked.decode("latin-1"))
        split = self.split
        if split is None:
            return self._stable
        if split.share and self._point(split, sender, headers) < split.share:
            return self._candidate
        if split.shadow_share and random.random() < split.shadow_share:  # noqa: S311 - no secret
            return self._copied
        return self._stable

    def named(self, model_version: str) -> Chosen:
        """The version that a tester asks for.

        Raises:
            Refused: 404; neither of the two is that version.
        """
        chosen = self._named.get(model_version)
        if chosen is None:
            there = ", ".join(sorted(self._named))
            message = f"Version {model_version[:63]!r} of {self.stable.route.model!r} answers nobody here."
            raise Refused(404, f"{message} Versions that do: {there}.", versions=sorted(self._named))
        return chosen

    def versions(self) -> tuple[Served, ...]:
        return (self.stable,) if self.candidate is None else (self.stable, self.candidate)

    def _point(self, split: TrafficSplit, sender: str | None, headers: Headers) -> float:
        key = sender
        if split.sticky_by != "sender":
            name = split.sticky_by.partition(":")[2].lower().encode()
            value = header(headers, name)
            key = None if value is None else value.decode("latin-1")
        if key is None:
            return random.random()  # noqa: S311 - no secret
        return draw(split.release_id, key)
