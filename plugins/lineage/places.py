"""What the platform's things are called in OpenLineage: one name for a thing, whichever run speaks of it.

A location is named by OpenLineage's own rules: the bucket is the namespace, the path the name. What has a new
location in every run (a part of a snapshot, an archive) has a name of the model's instead, its hash as its
version, and the location as a symlink; else each training would add datasets that no other ever reads.
"""

from dataclasses import dataclass

from openlineage.client.facet_v2 import DatasetFacet, symlinks_dataset

from tasks.settings import Settings


@dataclass(frozen=True)
class Name:
    """A dataset's identity."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Places:
    """Where this installation keeps what datasets are named after."""

    installation: str
    lake: str
    landing: str
    mlflow: str
    gateway: str

    @classmethod
    def of(cls, place: Settings) -> "Places":
        services = (_without_login(url) for url in (place.mlflow_url, place.gateway_url))
        return cls(place.installation, place.lake, place.landing, *services)

    def table(self, table: str) -> Name:
        return located(f"{self.lake.rstrip('/')}/{table}")

    def landing_folder(self, table: str) -> Name:
        return located(f"{self.landing.rstrip('/')}/{table}")

    def of_model(self, model: str, what: str) -> Name:
        """A thing of a model's that each of its trainings makes anew."""
        return Name(f"perennial://{self.installation}", f"{model}/{what}")

    def ledger(self) -> Name:
        return Name(f"perennial://{self.installation}", "ledger")

    def registered(self, model: str) -> Name:
        return Name(self.mlflow, f"models/{model}")

    def mlflow_run(self, run_id: str) -> Name:
        return Name(self.mlflow, f"runs/{run_id}")

    def served(self, model: str) -> Name:
        return Name(self.gateway, f"v1/models/{model}")

    def log(self, model: str) -> Name:
        """The gateway's log of a model's answers and labels."""
        return Name(self.gateway, f"log/{model}")


def _without_login(url: str) -> str:
    """An address as others may read it: events go to whoever reads the collector."""
    scheme, found, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{found}{authority.rpartition('@')[2]}{slash}{path}"


def located(url: str) -> Name:
    """The name of a file or folder of the store, as OpenLineage wants it."""
    scheme, found, rest = url.partition("://")
    if not found or scheme == "file":
        return Name("file", rest if found else url)
    authority, _, path = rest.partition("/")
    return Name(f"{scheme}://{authority}", path or "/")


def also_called(**names: Name) -> dict[str, DatasetFacet]:
    """The other names of a dataset, each by its kind: `location` for where it lies."""
    identifiers = [
        symlinks_dataset.Identifier(name.namespace, name.name, kind.upper()) for kind, name in names.items()
    ]
    return {"symlinks": symlinks_dataset.SymlinksDatasetFacet(identifiers=identifiers)}
