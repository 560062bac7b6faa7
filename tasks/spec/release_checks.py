"""What a team says of the checks that a version has to pass while two versions are there."""

from typing import Annotated

from pydantic import Field

from tasks.spec.base import Spec

MOST_REQUESTS = 10**9

Count = Annotated[int, Field(ge=0, le=MOST_REQUESTS)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Margin = Annotated[float, Field(gt=0, lt=1)]


class ErrorRates(Spec):
    """How often the checks of a whole release may be wrong.

    Attributes:
        false_rollback: The probability that a release goes back although the candidate is within every
            margin; all checks and steps together.
        missed: The probability that one check lets a candidate pass that is worse than its margin.
    """

    false_rollback: Rate = 0.01
    missed: Rate = 0.05


class ErrorsCheck(Spec):
    """Requests that were not answered.

    Attributes:
        margin: How much larger than the stable version's the candidate's share of them may be.
    """

    margin: Margin = 0.02


class LatencyCheck(Spec):
    """Slow answers: those that take longer than `ratio` times what 95 % of the stable version's take.

    Attributes:
        ratio: From how many times what 95 % of the stable version's answers take an answer is slow.
        margin: How much larger than the stable version's the candidate's share of slow answers may be.
        limit_seconds: An answer that takes longer is slow in any case; None for no such limit.
    """

    ratio: Annotated[float, Field(ge=1, le=100)] = 1.5
    margin: Margin = 0.05
    limit_seconds: Annotated[float, Field(gt=0, le=600)] | None = None


class AgreementCheck(Spec):
    """Copies of requests that both versions answered.

    Attributes:
        least: In which share of them the candidate has to say what the caller was told; None for any.
    """

    least: Annotated[float, Field(gt=0, lt=1)] | None = None


class PredictionsCheck(Spec):
    """Which answers are given. Not of a regression.

    Attributes:
        largest_change: By how much the share of any one answer may change; None for any.
    """

    largest_change: Margin | None = 0.1


class LabelsCheck(Spec):
    """Answers whose label has come.

    Attributes:
        margin: How much larger than the stable version's the candidate's share of wrong answers may be; for a
            regression its mean absolute error, in units of `largest_error`. None for no such check.
        largest_error: Of a regression, in units of the label: errors count as at most that. None: no check.
        slice_margin: The same on any one slice of `data.slice_by` whose column is one of the features: its
            values, or bins with `edges`. Looked at are the slices that the stable version had labels of in
            the day before the stage, the largest twenty. None for no such check.
        least: So many labelled answers of the candidate have to be there before a step may end, but the one
            of everything; 0 where labels come too late to wait for.
    """

    margin: Margin | None = 0.02
    slice_margin: Margin | None = 0.03
    largest_error: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    least: Count = 0


class ReleaseChecks(Spec):
    """What is looked at while two versions are there.

    Attributes:
        errors: Requests that were not answered.
        latency: Answers that were slow.
        agreement: Copies that both versions answered.
        predictions: How often each answer is given.
        labels: Answers whose label has come.
    """

    errors: ErrorsCheck = ErrorsCheck()
    latency: LatencyCheck = LatencyCheck()
    agreement: AgreementCheck = AgreementCheck()
    predictions: PredictionsCheck = PredictionsCheck()
    labels: LabelsCheck = LabelsCheck()
