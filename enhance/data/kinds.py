"""The kinds of data, and the text that names one: KIND:WHERE@PX."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from enhance.data.degradations.blur_exposure import Blur, Exposures
from enhance.data.degradations.camera import Camera
from enhance.data.degradations.patches import Cut, Degradation
from enhance.data.sources import hdr, pairs, unpaired
from enhance.data.sources.demo import Bundled
from enhance.data.sources.dped import Dped
from enhance.data.sources.photographs import PhotographPairs, Photographs
from enhance.data.sources.photos import Folder
from enhance.data.storage.cache import Source
from enhance.data.storage.errors import DataError

MIN_PX, MAX_PX = 16, 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of data.

    form: how its spec is written. line: what it is. example: a spec. patch_px: the size of its patches where none is
    given; None where none can be given, for the reason `fixed`. build: makes the source from what stands after the
    colon ("" where there is no colon) and the size of the patches (0 where none can be given). Raises DataError.
    """

    form: str
    line: str
    example: str
    build: Callable[[str, int], Source]
    patch_px: int | None = None
    fixed: str = ""


def source_of(spec: str) -> Source:
    """The source that `spec` names. Raises DataError where there is no such kind, folder or size.

    Only digits after the last @ are a size. A folder whose own name ends in @ and digits is written with a slash after
    it, and one that is called demo as ./demo.
    """
    found = re.fullmatch(r"(.*?)(?:@(\d+))?", spec, re.DOTALL)
    assert found  # the pattern matches everything
    name, colon, where = found[1].partition(":")
    kind = KINDS.get(name)
    if kind is None or bool(colon) != (":" in kind.form) or bool(colon) != bool(where):
        raise DataError(f"data={spec!r} is not a choice; choose from {_forms()}; for example {_example(kind)}")
    return kind.build(where, _patch_px(spec, kind, found[2]))


def _patch_px(spec: str, kind: Kind, given: str | None) -> int:
    if kind.patch_px is None:
        if given is not None:
            raise DataError(f"data={spec!r}: the size of the patches cannot be chosen, for {kind.fixed}")
        return 0
    size_px = kind.patch_px if given is None else int(given)
    if not MIN_PX <= size_px <= MAX_PX:
        raise DataError(f"data={spec!r}: patches of {size_px} px; choose from {MIN_PX} to {MAX_PX}")
    return size_px


def _forms() -> str:
    return ", ".join(kind.form for kind in KINDS.values())


def _example(kind: Kind | None) -> str:
    return (kind or KINDS["deblur"]).example


def _photographs(where: str) -> Photographs:
    return Bundled() if where == "demo" else Folder.find(Path(where))


def _degraded(kind: str, photographs: Photographs, degradation: Degradation, patch_px: int) -> Source:
    return PhotographPairs(kind, photographs, degradation, Cut(patch_px=patch_px))


KINDS = {
    "demo": Kind(
        form="demo[@PX]",
        line="the photographs that come with scikit-image, beside what a simulated phone makes of them",
        example="demo",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _degraded("demo", Bundled(), Camera(), patch_px),
    ),
    "dped": Kind(
        form="dped:DIR",
        line="DPED as it unpacks: patches of a phone and of a DSLR",
        example="dped:/data/dped/iphone",
        fixed="DPED is published in patches of 100 px",
        build=lambda where, patch_px: Dped.find(Path(where)),
    ),
    "photos": Kind(
        form="photos:DIR[@PX]",
        line="own photographs, beside what the simulated phone makes of them",
        example="photos:~/Pictures",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _degraded("photos", Folder.find(Path(where)), Camera(), patch_px),
    ),
    "deblur": Kind(
        form="deblur:DIR|demo[@PX]",
        line="photographs, beside the same with a Gaussian blur",
        example="deblur:demo@128",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _degraded("deblur", _photographs(where), Blur(), patch_px),
    ),
    "exposures": Kind(
        form="exposures:DIR|demo[@PX]",
        line="photographs, beside three exposures each with a smaller range of light",
        example="exposures:demo@128",
        patch_px=Cut().patch_px,
        build=lambda where, patch_px: _degraded("exposures", _photographs(where), Exposures(), patch_px),
    ),
    "hdr": Kind(
        form="hdr:DIR[@PX]",
        line="LDR-HDR-pair_Dataset as it unpacks: HDR pictures, beside three exposures of each",
        example="hdr:/data/LDR-HDR-pair_Dataset",
        patch_px=hdr.PATCH_PX,
        build=lambda where, patch_px: hdr.Hdr.find(Path(where), patch_px),
    ),
    "pairs": Kind(
        form="pairs:PHONE_DIR:DSLR_DIR[@PX]",
        line="photographs of the same scenes by two cameras, equal names in two folders, aligned patch by patch",
        example="pairs:~/iphone:~/canon",
        patch_px=pairs.PATCH_PX,
        build=pairs.Pairs.parse,
    ),
    "unpaired": Kind(
        form="unpaired:DIR[@PX]",
        line="pictures of two cameras that do not belong together: the folders trainA, trainB, testA, testB",
        example="unpaired:/data/iphone2dslr_flower",
        patch_px=unpaired.PATCH_PX,
        build=lambda where, patch_px: unpaired.Unpaired.find(Path(where), patch_px),
    ),
}
