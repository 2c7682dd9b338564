"""The seeds of a trial: which of its random numbers change with the one that it was given."""

from dataclasses import dataclass

STILL = 0
"""The seed of what does not vary: a trial of seed 0 is the same whatever `train.vary` says."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """`initialisation` decides the first weights of all networks, critics among them; `data` whatever is drawn later.

    That is patches, crops and flips, their augmentation, the coins and the pool of a critic, and the noise in dropout
    and in a gradient penalty: all of these are functions of (data, step).
    """

    initialisation: int
    data: int

    @classmethod
    def of(cls, seed: int, vary: str) -> "Seeds":
        """Those of a trial of `seed` where `train.vary` is "everything", "initialisation" or "data"; else KeyError."""
        return {
            "everything": cls(seed, seed),
            "initialisation": cls(seed, STILL),
            "data": cls(STILL, seed),
        }[vary]

    def apart(self, offset: int) -> "Seeds":
        """Those of a second network and its critic."""
        return Seeds(self.initialisation + offset, self.data + offset)
