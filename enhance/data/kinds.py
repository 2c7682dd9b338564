"""The kinds of data, and the specs that name them: KIND:WHERE@PX."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from enhance.data.degradations.blur_exposure import Blur, Exposures
from enhance.data.degradations.camera import Camera
from enhance.data.degradations.patches import Cut, Degradation
from enhance.data.sources import hdr, pairs, unpaired
from enhance.data.sources.aligned import Aligned
from enhance.data.sources.demo import Bundled
from enhance.data.sources.dped import Dped
from enhance.data.sources.photographs import PhotographPairs, Photographs
from enhance.data.sources.photos import Folder
from enhance.data.storage.cache import Source
from enhance.data.storage.errors import DataError

MIN_PX, MAX_PX = 16, 1024

DEGRADATIONS = {
    "camera": "a phone's camera",
    "blur": "a blur",
    "exposure": "a smaller dynamic range",
}
"""What may make the inputs worse than their targets: a task is to undo one of these."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of data.

    form: the syntax of its spec. line: a description. example: a spec. build: makes the source from the text after the
    colon ("" without one) and the patch size in px (0 if it is fixed); raises DataError.
    degradation: which of DEGRADATIONS the inputs show. paired: whether an input has a target. patch_px: the default
    patch size; None if it cannot be chosen, for the reason in `fixed`.
    """

    form: str
    degradation: str
    line: str
    example: str
    build: Callable[[str, int], Source]
    patch_px: int | None = None
    fixed: str = ""
    paired: bool = True


def source_of(spec: str) -> Source:
    """The source that `spec` names. Raises DataError if there is no such kind, folder or size.

    Only digits after the last @ are a size. For a folder whose name itself ends in @ and digits, add a slash; for one
    that is named demo, write ./demo.
    """
    kind, where, patch_px = _read(spec)
    return kind.build(where, _patch_px(spec, kind, patch_px))


def kind_of(spec: str) -> Kind:
    """The kind of data that `spec` names. Raises DataError if there is none; the folder may be missing."""
    return _read(spec)[0]


def _read(spec: str) -> tuple[Kind, str, str | None]:
    """The kind, the text after its colon and that after the last @. Raises DataError."""
    # DOTALL, because a folder's name may contain a line break.
    found = re.fullmatch(r"(.*?)(?:@(\d+))?", spec, re.DOTALL)
    assert found  # the pattern matches everything
    name, colon, where = found[1].partition(":")
    kind = KINDS.get(name)
    # A kind with a colon in its form needs something after it; the others take none.
    if kind is None or bool(colon) != (":" in kind.form) or bool(colon) != bool(where):
        raise DataError(f"data={spec!r} is not a choice; choose from {_forms()}; for example {_example(kind)}")
    return kind, where, found[2]


def _patch_px(spec: str, kind: Kind, given: str | None) -> int:
    if kind.patch_px is None:
        if given is not None:
            raise DataError(f"data={spec!r}: the patch size cannot be chosen, because {kind.fixed}")
        return 0
    size_px = kind.patch_px if given is None else int(given)
    if not MIN_PX <= size_px <= MAX_PX:
        raise DataError(f"data={spec!r}: the patch size must be from {MIN_PX} to {MAX_PX} px, not {size_px}")
    return size_px


def _forms() -> str:
    return ", ".join(kind.form for kind in KINDS.values())


def _example(kind: Kind | None) -> str:
    return (kind or KINDS["deblur"]).example


def _photographs(where: str) -> Photographs:
    return Bundled() if where == "demo" else Folder.find(Path(where))


def _photograph_pairs(kind: str, photographs: Photographs, degradation: Degradation, patch_px: int) -> Source:
    return PhotographPairs(kind, photographs, degradation, Cut(patch_px=patch_px))


KINDS = {
    "demo": Kind(
        form="demo[@PX]",
        degradation="camera",
        line="the photographs bundled with scikit-image, paired with what a simulated phone makes of them",
        example="demo",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _photograph_pairs("demo", Bundled(), Camera(), patch_px),
    ),
    "dped": Kind(
        form="dped:DIR",
        degradation="camera",
        line="DPED as unpacked: patches from a phone and a DSLR",
        example="dped:/data/dped/iphone",
        fixed="DPED is published in patches of 100 px",
        build=lambda where, patch_px: Dped.find(Path(where)),
    ),
    "photos": Kind(
        form="photos:DIR[@PX]",
        degradation="camera",
        line="your own photographs, paired with what a simulated phone makes of them",
        example="photos:~/Pictures",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _photograph_pairs("photos", Folder.find(Path(where)), Camera(), patch_px),
    ),
    "deblur": Kind(
        form="deblur:DIR|demo[@PX]",
        degradation="blur",
        line="photographs, paired with themselves under a Gaussian blur",
        example="deblur:demo@128",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _photograph_pairs("deblur", _photographs(where), Blur(), patch_px),
    ),
    "exposures": Kind(
        form="exposures:DIR|demo[@PX]",
        degradation="exposure",
        line="photographs, paired with three exposures of less dynamic range",
        example="exposures:demo@128",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _photograph_pairs("exposures", _photographs(where), Exposures(), patch_px),
    ),
    "hdr": Kind(
        form="hdr:DIR[@PX]",
        degradation="exposure",
        line="LDR-HDR-pair_Dataset as unpacked: HDR pictures, each paired with three exposures",
        example="hdr:/data/LDR-HDR-pair_Dataset",
        patch_px=hdr.PATCH_PX,
        build=lambda where, patch_px: hdr.Hdr.find(Path(where), patch_px),
    ),
    "pairs": Kind(
        form="pairs:PHONE_DIR:DSLR_DIR[@PX]",
        degradation="camera",
        line="photographs of the same scenes from two cameras, under equal names in two folders, aligned by patch",
        example="pairs:~/iphone:~/canon",
        patch_px=pairs.PATCH_PX,
        build=pairs.Pairs.parse,
    ),
    "aligned": Kind(
        form="aligned:DIR|INPUT_DIR:TARGET_DIR[@PX]",
        degradation="camera",
        line="pairs that are already aligned: LOL, FiveK, pix2pix, or your own two folders",
        example="aligned:/data/LOLdataset",
        patch_px=Cut().patch_px,
        build=Aligned.parse,
    ),
    "unpaired": Kind(
        form="unpaired:DIR[@PX]",
        degradation="camera",
        line="unpaired pictures from two cameras, in folders named trainA, trainB, testA, testB",
        example="unpaired:/data/iphone2dslr_flower",
        patch_px=unpaired.PATCH_PX,
        build=lambda where, patch_px: unpaired.Unpaired.find(Path(where), patch_px),
        paired=False,
    ),
}
