"""What a team may say of a release, and what of it is refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.spec import ReleaseSpec
from tasks.spec.release import faults_of_release


def test_a_release_is_immediate_where_nothing_is_said() -> None:
    assert ReleaseSpec().mode == "immediate"


def test_when_a_person_is_asked_may_be_said_in_a_word() -> None:
    approval = ReleaseSpec.model_validate({"mode": "canary", "approval": "before_full"}).approval

    assert (approval.when, approval.unanswered) == ("before_full", "refuse")


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ({"steps": [0.5, 0.25, 1.0]}, "[0.5, 0.25, 1.0] does not rise from above 0 to 1"),
        ({"steps": [0.05, 0.5]}, "does not rise"),
        ({"steps": [0.0, 1.0]}, "does not rise"),
        ({"step": {"seconds": 100, "longest_seconds": 10}}, "step.longest_seconds is 10, less than"),
        ({"mode": "shadow_only", "shadow": {"requests": 0}}, "shadow: mode shadow_only needs"),
        ({"approval": "before_full"}, "approval: nobody would be asked, because with mode immediate"),
        ({"mode": "shadow_only", "approval": "before_canary"}, "a version serves nobody"),
        ({"sticky_by": "header"}, "'header' is none of sender, header:NAME"),
        ({"steps": 0.5}, "a list of shares is expected, such as [0.05, 0.25, 0.5, 1.0], not 0.5"),
        ({"steps": [5, 25, 50, 100]}, "[5, 25, 50, 100] are no shares; 5 % is 0.05"),
        ({"mode": "canary", "steps": [0.0501, 0.05010000001, 1]}, "two steps would be called canary_5_01"),
        ({"mode": "canary", "steps": [0.9999999, 1.0]}, "two steps would be called canary_100"),
        ({"mode": "canary", "steps": [n / 2000 for n in range(1, 2001)]}, "there are 2000 steps"),
        ({"steps": [0.5, 1.0]}, "steps: mode immediate has no use for it"),
        ({"mode": "blue_green", "steps": [0.5, 1.0]}, "steps: mode blue_green has no use for it"),
        ({"mode": "shadow_only", "sticky_by": "sender"}, "sticky_by: mode shadow_only has no use for it"),
        ({"mode": "blue_green", "checks": {"agreement": {"least": 0.9}}}, "there are no copies to compare"),
        (
            {"mode": "canary", "shadow": {"requests": 0}, "checks": {"agreement": {"least": 0.9}}},
            "there are no copies to compare",
        ),
        ({"approval": False}, "false is none of none, before_canary and before_full"),
        ("canary", "'canary' is one word, but fields are expected"),
        ({"environments": ["Staging"]}, "'Staging' cannot be an environment's name"),
        ({"error_rates": {"false_rollback": 0}}, "error_rates.false_rollback"),
        ({"mode": "big_bang"}, "mode"),
        ({"checks": {"label": {}}}, "checks.label"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_field(release: Any, said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        ReleaseSpec.model_validate(release)

    assert said in str(refusal.value)


def test_only_a_regression_has_errors_in_units() -> None:
    release = ReleaseSpec.model_validate({"checks": {"labels": {"largest_error": 60}}})

    assert "largest_error belongs to a regression" in faults_of_release("binary", release)[0]
    assert faults_of_release("regression", release) == []


def test_a_canary_of_a_regression_looks_at_more_than_errors_and_latency() -> None:
    silent = ReleaseSpec.model_validate({"mode": "canary"})
    meant = ReleaseSpec.model_validate({"mode": "canary", "checks": {"labels": {"margin": None}}})
    said = ReleaseSpec.model_validate({"mode": "canary", "checks": {"labels": {"largest_error": 60}}})

    assert "looks at errors and latency alone" in faults_of_release("regression", silent)[0]
    assert [faults_of_release("regression", each) for each in (meant, said)] == [[], []]
    assert faults_of_release("binary", silent) == []


def test_what_was_written_down_with_its_defaults_is_read_again() -> None:
    for mode in ("immediate", "canary", "blue_green", "shadow_only"):
        release = ReleaseSpec.model_validate({"mode": mode})
        assert ReleaseSpec.model_validate(release.model_dump(mode="json")) == release


def test_environments_may_be_said_by_their_names() -> None:
    release = ReleaseSpec.model_validate({"environments": ["dev", {"name": "staging"}]})

    assert [each.name for each in release.environments] == ["dev", "staging"]
    assert release.by_steps
    assert not ReleaseSpec().by_steps


def test_an_environment_may_ask_more_than_the_others() -> None:
    staging = {"name": "staging", "acceptance": {"rows": 1000, "p95_seconds": 0.05}}
    release = ReleaseSpec.model_validate({"environments": ["dev", staging], "acceptance": {"rows": 10}})

    assert [release.acceptance_in(name).rows for name in ("dev", "staging", "production")] == [10, 1000, 10]
    again = ReleaseSpec.model_validate(release.model_dump(mode="json"))
    assert again == release


@pytest.mark.parametrize(
    ("environments", "said"),
    [
        (["dev", "dev"], "names an environment twice"),
        (["dev", "production"], "production comes last by itself"),
        (["dev", "champion"], "'champion' means a version there already"),
        (["latest"], "'latest' means a version there already"),
        (["v2"], "'v2' means a version there already"),
        (["public"], "'public' is a schema of PostgreSQL"),
        (["gateway"], "'gateway' is a schema of PostgreSQL"),
        (["pg_temp"], "'pg_temp' is a schema of PostgreSQL"),
        (["metrics"], "'metrics' is a schema of PostgreSQL or a path of the gateway"),
        (["Dev"], "environments.0.name"),
        ([{"name": "dev", "gate": {}}], "environments.0.gate"),
        ("dev", "environments"),
    ],
)
def test_environments_that_cannot_be_are_refused(environments: Any, said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        ReleaseSpec.model_validate({"environments": environments})

    assert said in str(refusal.value)


ON_CLOUD_RUN = {
    "project": "our-project",
    "region": "europe-west1",
    "service": "reviews",
    "registry": "europe-west1-docker.pkg.dev/our-project/team",
    "token_secret": "token",
}


def test_a_cloud_run_service_needs_no_more_than_its_names() -> None:
    release = ReleaseSpec.model_validate({"cloud_run": ON_CLOUD_RUN})

    assert release.cloud_run is not None
    assert (release.cloud_run.min_instances, release.cloud_run.ingress) == (0, "all")
    assert ReleaseSpec().cloud_run is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"project": "Our Project"}, "'Our Project' is not the id of a Google Cloud project"),
        ({"region": "Europe"}, "'Europe' is not a region of Cloud Run, such as europe-west1"),
        ({"service": "s" * 41}, "is not a name of at most 40 lower-case letters"),
        ({"registry": "docker.pkg.dev/p/team:3"}, "without the model's name, a tag or a digest"),
        ({"registry": "team"}, "'team' is not what `make image REGISTRY=...` pushes to"),
        ({"token_secret": "projects/p/secrets/token"}, "without its path"),
        ({"token_version": "0"}, "the number of the secret's version, or latest"),
        ({"memory": "1GB"}, "'1GB' is not an amount of memory"),
        ({"min_instances": 20}, "max_instances: 10 is less than min_instances (20)"),
        ({"cpu": "999999999999"}, "'999999999999' is not a number of processors"),
        ({"memory": "99999999Gi"}, "'99999999Gi' is not an amount of memory"),
        ({"memory": 1024}, "'1024' is not an amount of memory, such as 512Mi or 1Gi"),
        ({"project": 12345}, "'12345' is not the id of a Google Cloud project"),
        ({"cpu": "one"}, "'one' is not a number of processors"),
        ({"service_account": "runner"}, "'runner' is not the e-mail address of a service account"),
        ({"min_instances": 5, "max_instances": 2}, "2 is less than min_instances (5)"),
        ({"ingress": "nobody"}, "cloud_run.ingress"),
        ({"instances": 1}, "cloud_run.instances"),
    ],
)
def test_a_cloud_run_service_that_cannot_be_is_refused_in_a_sentence(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as refusal:
        ReleaseSpec.model_validate({"cloud_run": ON_CLOUD_RUN | changes})

    assert said in str(refusal.value)


@pytest.mark.parametrize("missing", sorted(ON_CLOUD_RUN))
def test_a_cloud_run_service_names_what_is_missing(missing: str) -> None:
    named = {name: value for name, value in ON_CLOUD_RUN.items() if name != missing}
    with pytest.raises(ValidationError, match=rf"cloud_run.{missing}\n"):
        ReleaseSpec.model_validate({"cloud_run": named})


def test_numbers_may_name_processors_and_a_version() -> None:
    release = ReleaseSpec.model_validate({"cloud_run": ON_CLOUD_RUN | {"cpu": 2, "token_version": 3}})

    assert release.cloud_run is not None
    assert (release.cloud_run.cpu, release.cloud_run.token_version) == ("2", "3")
