"""What every network family tells its callers before it is built."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class NetConfig:
    """What all families have in common."""

    # The first field, so also the first of every family: `enhance.config.config` skips it by its place.
    family: str

    @property
    def multiple_of(self) -> int:
        """H and W of the network's input must be multiples of this; `enhance.nets.apply` pads and crops if not."""
        return 1

    @property
    def minimum_px(self) -> int:
        """The smallest H and W, in pixels, that the network can be trained on."""
        # torch's instance norm refuses to train on a map of a single pixel.
        return 2

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The values of train.dtype that the family is tested with."""
        return ("fp32", "bf16")

    @property
    def view(self) -> str:
        """What the network is meant to see: "patch" (a neighborhood of each pixel) or "photo".

        A part of a "photo" network looks at the whole picture, at a thumbnail or at means, and decides how to change
        it. Patches have other statistics than photos, so one that is trained on them is applied to what it never saw.
        """
        return "patch"

    @property
    def penalties(self) -> tuple[str, ...]:
        """The terms that the family itself may add to the loss, by name."""
        return ()
