"""A trial's seeds: which of its random numbers follow the seed that it was given."""

from dataclasses import dataclass

STILL = 0
"""The seed of whatever does not vary; a trial with seed 0 is the same for every `train.vary`."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """`initialisation` seeds the initial weights of all networks and critics, `data` everything drawn during training.

    The latter covers patches, crops, flips and color augmentation, the critic's coins and image pool, and the noise of
    dropout and of the gradient penalty; each is a function of (data, step).
    """

    initialisation: int
    data: int

    @classmethod
    def of(cls, seed: int, vary: str) -> "Seeds":
        """The seeds of a trial with `seed`; `vary` is "everything", "initialisation" or "data". Else KeyError."""
        return {
            "everything": cls(seed, seed),
            "initialisation": cls(seed, STILL),
            "data": cls(STILL, seed),
        }[vary]

    def apart(self, offset: int) -> "Seeds":
        """Both seeds plus `offset`, for a second network and its critic."""
        return Seeds(self.initialisation + offset, self.data + offset)
