"""The sRGB transfer curve (IEC 61966-2-1), between linear light and encoded values, both in [0, 1]."""

import numpy as np
import numpy.typing as npt

Light = npt.NDArray[np.float32]


def encode(light: Light) -> Light:
    """Encode linear light in [0, 1], of any shape."""
    return np.asarray(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


# A table of 256 powers instead of one power per pixel: what is converted has 8 bits.
def _linear_light() -> Light:
    encoded = np.arange(256) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


LIGHT = _linear_light()  # indexed by 8-bit value
