"""With which code the command ends; docs/command.md explains them to its users."""

from tasks.errors import EXIT_FAULT, EXIT_INVALID, EXIT_NOTHING, EXIT_REFUSED, PerennialError

DONE = 0
FAULT = EXIT_FAULT
USAGE = 2
TROUBLE = 3
AWAY = 4
LOGIN = 5
BROKEN = 6
REFUSED = EXIT_REFUSED
DRIFTED, REJECTED, UNDECIDED = 3, 4, 5
"""Of `check-data` and `check-drift`, which ask no platform: none can be away, or refuse a login."""
QUARANTINED = 11
LABEL_INCIDENT = 12
INVALID = EXIT_INVALID
NOTHING = EXIT_NOTHING


class PlatformAway(PerennialError):
    """No platform runs, or it does not answer; raised by who needs one."""

    exit_code = AWAY


class LoginRefused(PerennialError):
    """The platform answers, but not to this user or token; raised by who logs in."""

    exit_code = LOGIN
