"""Turn a digit's pixels into an image; training and serving both import this, so that they see the same."""

from collections.abc import Sequence
from typing import Any

import numpy as np

SIDE = 8
LEVELS = "0123456789abcdefg"


def images_of(pixels: Sequence[Any]) -> np.ndarray:
    """Images of shape (digits, 1, 8, 8), float32, from 0 (paper) to 1 (ink).

    Args:
        pixels: Each image as 64 characters of `LEVELS`, row after row from the top left.

    Raises:
        TypeError, ValueError: An image is no text, or has another length or character.
    """
    flat = [[int(character, len(LEVELS)) for character in image] for image in pixels]
    return np.array(flat, dtype=np.float32).reshape(len(flat), 1, SIDE, SIDE) / (len(LEVELS) - 1)
