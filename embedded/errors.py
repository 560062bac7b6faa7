"""What can keep the embedded platform from running; each a sentence to the person in front of it."""

from tasks.errors import PerennialError


class PlatformError(PerennialError):
    """The platform did not start, or did not stay up."""


class PortTaken(PlatformError):
    """A port that the settings fix is held by another process."""


class NoRoom(PlatformError):
    """The machine has too little disk or memory."""


class AlreadyRunning(PlatformError):
    """Another process has started the platform on the same state folder."""


class OtherClone(PlatformError):
    """The platform that runs on the state folder belongs to another clone."""
