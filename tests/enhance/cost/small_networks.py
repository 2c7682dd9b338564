"""Small networks and the conditions of a short measurement."""

from enhance.conditions import Conditions
from enhance.config import Scalar, from_flat
from enhance.config.nets import NetConfig

SMALL = Conditions(width_px=64, height_px=48, min_rounds=3, max_s=0.1)


def net(**leaves: Scalar) -> NetConfig:
    """The configuration of a network with these leaves."""
    return from_flat({f"net.{name}": value for name, value in leaves.items()}).net


TINY = net(channels=4, blocks=1)
