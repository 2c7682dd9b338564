"""The gallery of a run: images that its completed trials enhanced, recorded beside their scores.

Which images are recorded depends on the command line and is not part of a trial's identity. The originals, inputs and
targets, are the same for all trials and are recorded once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from enhance.data import PatchStore
from enhance.samples import Photo, Sample, SampleRequest, png, validation_index
from sweeps.engine.ledger.writer import Row


@dataclass(frozen=True)
class Gallery:
    """The images to record: `fixed` as in `SampleRequest`, and `photos`.

    Confirmations enhance the `photos`; in a sweep without confirmations (`confirms`) every trial does. `recorded` names
    the originals that the ledger already has, `kept` the trials and images of its samples: if a driver was killed after
    a trial's samples and before its report, the trial gives the same samples again.
    """

    store: PatchStore
    fixed: int
    photos: tuple[Photo, ...]
    confirms: bool
    recorded: set[str] = field(default_factory=set)
    kept: frozenset[tuple[str, str]] = frozenset()

    def wanted(self, stage: str) -> SampleRequest:
        """The samples that a trial of this stage ("search" or "confirm") hands over when it completes."""
        return SampleRequest(self.fixed, self.photos if stage == "confirm" or not self.confirms else ())

    def new_originals(self, samples: Iterable[Sample]) -> list[Row]:
        """The rows of `originals` for images that are not recorded yet; from now on they count as recorded."""
        # A sample without an output is a row of scores: no page shows its picture.
        new = [sample.image for sample in samples if sample.output is not None and sample.image not in self.recorded]
        self.recorded.update(new)
        return [self._original(image) for image in new]

    def new_samples(self, trial: str, samples: Iterable[Sample]) -> list[Sample]:
        """Those of a trial's samples that the ledger does not have."""
        return [sample for sample in samples if (trial, sample.image) not in self.kept]

    def _original(self, image: str) -> Row:
        # Names of validation pictures contain their index; any other name is that of a photograph, which has no target.
        index = validation_index(image)
        if index is None:
            return {"image": image, "input": next(p.jpeg for p in self.photos if p.image == image), "target": None}
        target = png(self.store.val_target[index]) if self.store.paired else None
        return {"image": image, "input": png(self.store.val_input[index]), "target": target}


def sample_rows(trial: str, step: int, samples: Sequence[Sample]) -> list[Row]:
    """The rows of `samples`, one per image."""
    return [
        {
            "trial": trial,
            "image": sample.image,
            "step": step,
            **{f"metric.{name}": value for name, value in sample.scores.items()},
            "fixed": sample.fixed,
            "output": sample.output,
            "failure": sample.failure,
        }
        for sample in samples
    ]
