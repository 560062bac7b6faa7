"""Expectations as Great Expectations itself makes them of a declaration."""

import logging
from typing import Any

from great_expectations.exceptions import GreatExpectationsError
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

logging.getLogger("great_expectations").setLevel(logging.WARNING)


def judges_rows(kind: str, arguments: dict[str, Any], severity: str) -> bool:
    """Whether the expectation says of each row if it is met.

    Raises:
        ValueError: Great Expectations does not know or does not accept it.
        TypeError, KeyError: The same.
    """
    try:
        made = ExpectationConfiguration(type=kind, kwargs=arguments, severity=severity).to_domain_obj()
    except GreatExpectationsError as error:
        raise ValueError(str(error)) from error
    return isinstance(made, ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation)
