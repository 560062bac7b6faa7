"""The image that steps run in: one that says for good which it is."""

import re

from tasks.errors import InvalidProject
from tasks.settings import Settings

TMP_MIB = 64  # for what ignores TMPDIR
DIGEST = re.compile(r"(?:(?P<name>[^@\s]+)@)?(?P<digest>sha256:[0-9a-f]{64})")


def digest_of(place: Settings) -> str:
    """The image of the steps.

    Raises:
        InvalidProject: None is set, or one that may be another image tomorrow.
    """
    image = place.step_image
    if not DIGEST.fullmatch(image):
        raise InvalidProject(
            f"PERENNIAL_STEP_IMAGE is {image!r}, which does not say for good which image that is. Set it to "
            "a digest: `sha256:...` of an image on the engine (`make images` writes it to "
            ".perennial/images.env), or `name@sha256:...`."
        )
    return image
