"""Reading pictures: whole and right, or refused, whatever the bytes."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from enhance.data.reading import pictures
from enhance.data.reading.pictures import PictureError, Tally, read_patch, read_photograph, strict_pillow
from enhance.data.storage.errors import DataError


def encoded(form: str, **options: object) -> bytes:
    coarse = np.random.default_rng(3).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    stored = io.BytesIO()
    Image.fromarray(coarse).resize((100, 100)).save(stored, format=form, **options)
    return stored.getvalue()


def outcome(path: Path, content: bytes) -> np.ndarray | None:
    path.write_bytes(content)
    try:
        with strict_pillow():
            return read_photograph(path, 1000)
    except PictureError:
        return None


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.slow
def test_a_truncated_picture_is_never_taken_for_another(form: str, tmp_path: Path) -> None:
    whole = encoded(form)
    right = outcome(tmp_path / "a", whole)
    assert right is not None
    refused = 0
    for length in range(0, len(whole), 3):
        read = outcome(tmp_path / "a", whole[:length])
        refused += read is None
        assert read is None or np.array_equal(read, right)
    assert refused > len(whole) // 3 * 0.95


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.slow
def test_a_flipped_byte_is_refused_or_read_never_a_traceback(form: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "maker"
    whole = encoded(form, exif=exif)
    right = outcome(tmp_path / "a", whole)
    rng = np.random.default_rng(0)
    for position in [*range(200), *range(200, len(whole), 11)]:
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        read = outcome(tmp_path / "a", bytes(damaged))
        if form == "PNG" and read is not None and read.shape == right.shape:
            assert np.array_equal(read, right)


def test_a_patch_must_be_a_jpeg(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded("PNG"))
    with pytest.raises(PictureError, match="unreadable"):
        read_patch(tmp_path / "a.jpg", 100)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(encoded("PNG"))
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    for limit, raised in ((Image, 9_000), (Image, 4_000), (pictures, 9_000)):
        with monkeypatch.context() as patch:
            patch.setattr(limit, "MAX_IMAGE_PIXELS" if limit is Image else "MAX_PIXELS", raised)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as a program may run that is not under test
                with strict_pillow(), pytest.raises(PictureError, match="too large"):
                    read_photograph(tmp_path / "a.png", 1000)


def test_pillow_must_not_forgive_truncation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match="LOAD_TRUNCATED_IMAGES is on"), strict_pillow():
        pass


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="unreadable: FileNotFoundError"):
        read_patch(tmp_path / "absent.jpg", 100)


def test_a_tally_counts_all_and_names_the_first() -> None:
    tally, more = Tally(), Tally()
    for number in range(4):
        tally.add("bad", str(number))
        more.add("bad", str(number + 4))
    more.add("worse", "x")
    tally.update(more)
    assert tally.summary() == {
        "bad": {"count": 8, "examples": ["0", "1", "2", "3", "4"]},
        "worse": {"count": 1, "examples": ["x"]},
    }
    assert tally.total == 9
    assert tally.words() == "8 bad (0, ...); 1 worse (x)"
    assert tally.of("none") == {"count": 0, "examples": []}
