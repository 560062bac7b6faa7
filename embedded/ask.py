"""The command `perennial` on this clone's processes: `python -m embedded.ask WORD...`, by `./perennial`.

It runs in the environment of the heavy steps, which has everything that a word may import. `--is-running`
alone ends with 0 where the platform runs, and with 1 where none does.
"""

import os
import sys

from cli.__main__ import end
from cli.__main__ import main as ask
from embedded import clone, services
from embedded.errors import OtherClone, PlatformError
from embedded.find import running
from embedded.platform import Platform
from tasks.errors import PerennialError
from tasks.settings import settings

IS_RUNNING = "--is-running"


def main() -> None:
    """Point this process to the platform, where one of this clone runs, and run the word."""
    clone.forget_another(services.exports())
    if sys.argv[1:] == [IS_RUNNING]:
        sys.exit(0 if _found() else 1)
    if not os.environ.get("PERENNIAL_URL") and (platform := _found()):
        point_to(platform)
    ask()


def point_to(platform: Platform) -> None:
    """Let this process read the settings, the logins and the secrets of a platform that runs.

    Raises:
        PlatformError: It is another user's.
    """
    try:
        login, variables = platform.credentials, platform.variables()
    except PermissionError as error:
        raise PlatformError(
            f"The platform on {platform.home} is another user's: {error.filename} is not for you. Ask as "
            "that user."
        ) from error
    os.environ.update(
        {
            **variables,
            "PERENNIAL_PLACE": f"processes on {platform.home}",
            "PERENNIAL_AIRFLOW_USER": login.username,
            "PERENNIAL_AIRFLOW_PASSWORD": login.password,
        }
    )
    settings.cache_clear()


def _found() -> Platform | None:
    try:
        return running()
    except OtherClone as error:
        print(error, file=sys.stderr)
    except PlatformError:
        pass
    return None


if __name__ == "__main__":
    try:
        main()
    except PerennialError as error:
        end(error)
