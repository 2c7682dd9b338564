"""Colors as a file means them: every way of saying them ends in the same sRGB values."""

import io
import json
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from enhance.data import open_data
from enhance.data.reading.colors import eight_bits
from enhance.data.reading.pictures import PictureError, read_patch, read_picture, strict_pillow
from tests.places import ROOT

CASES = ROOT.parent / "shared" / "cases" / "color"
CHART = np.array([[[217, 42, 39], [40, 81, 197], [226, 189, 0]], [[150, 150, 150], [244, 145, 102], [81, 121, 164]]])

# By the formulas of the standards: linear light of CHART to the space's primaries, then its curve.
TO_ADOBE = np.array([[0.7151256, 0.2848744, 0], [0, 1, 0], [0, 0.0411619, 0.9588381]])


def linear(values: np.ndarray) -> np.ndarray:
    encoded = values / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def chart(values: np.ndarray = CHART) -> np.ndarray:
    """One 16-px cell for each color."""
    return np.asarray(values, np.uint8).repeat(16, axis=0).repeat(16, axis=1)


def png(path: Path, values: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """`values` as an RGB PNG of 8 or 16 bits, with `chunks` before the pixels; no encoder under test."""
    bits = 8 * values.itemsize
    rows = b"".join(b"\0" + row.astype(f">u{values.itemsize}").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, {3: 2, 4: 6}[values.shape[2]], 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def chromaticities(*values: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(100_000 * value) for value in values))


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(100_000 * value))


def read(path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """The colors of the cells, and the changes."""
    with strict_pillow():
        picture = read_picture(path)
    return picture.pixels[8::16, 8::16].astype(int), picture.changes


def test_a_linear_png_is_encoded(tmp_path: Path) -> None:
    values = np.rint(65535 * linear(chart())).astype(np.uint16)
    colors, changes = read(png(tmp_path / "a.png", values, gamma(1.0)))
    assert np.abs(colors - CHART).max() <= 1
    assert changes == ("converted from gAMA 1 to sRGB", "16 bits rounded to 8")


@pytest.mark.parametrize("bits", [8, 16])
def test_other_primaries_are_converted(tmp_path: Path, bits: int) -> None:
    top = 2**bits - 1
    values = np.rint(top * (linear(chart()) @ TO_ADOBE.T) ** (1 / 2.2)).astype(f"u{bits // 8}")
    adobe = chromaticities(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    colors, changes = read(png(tmp_path / "a.png", values, gamma(1 / 2.2), adobe))
    assert np.abs(colors - CHART).max() <= 2
    assert changes[0] == "converted from gAMA 0.45455 and cHRM to sRGB"


@pytest.mark.parametrize(
    "chunks",
    [
        [(b"sRGB", b"\0"), gamma(1.0)],
        [gamma(0.45455)],
        [gamma(0.45455), chromaticities(0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)],
    ],
    ids=["sRGB overrides gAMA", "gAMA", "gAMA and cHRM"],
)
def test_a_png_that_says_srgb_keeps_its_values(tmp_path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    colors, changes = read(png(tmp_path / "a.png", chart(), *chunks))
    assert np.array_equal(colors, CHART)
    assert changes == ()


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_an_srgb_profile_changes_no_value(tmp_path: Path, form: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(chart()).save(tmp_path / "plain", format=form, quality=95)
    Image.fromarray(chart()).save(tmp_path / "named", format=form, quality=95, icc_profile=profile)
    assert read(tmp_path / "named")[1] == ()
    assert np.array_equal(read(tmp_path / "named")[0], read(tmp_path / "plain")[0])


def test_exif_alone_can_say_adobe_rgb(tmp_path: Path) -> None:
    values = np.rint(255 * (linear(chart()) @ TO_ADOBE.T) ** (256 / 563)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 0xFFFF, 0xA005: {1: "R03"}}
    Image.fromarray(values).save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    colors, changes = read(tmp_path / "a.jpg")
    assert np.abs(colors - CHART).max() <= 4  # JPEG takes its part
    assert changes == ("converted from Adobe RGB (EXIF) to sRGB",)


@pytest.mark.parametrize("profile", [b"no profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()])
def test_a_profile_that_cannot_be_applied_is_refused(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(chart()).save(tmp_path / "a.png", icc_profile=profile)
    with pytest.raises(PictureError, match="unknown colors: its ICC profile does not describe RGB colors"):
        read(tmp_path / "a.png")


def test_another_white_is_refused(tmp_path: Path) -> None:
    file = png(tmp_path / "a.png", chart(), chromaticities(0.3457, 0.3585, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06))
    with pytest.raises(PictureError, match="unknown colors: the white in its cHRM is"):
        read(file)


def test_sixteen_bits_are_rounded(tmp_path: Path) -> None:
    every = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(eight_bits(every), np.rint(every / 257))
    values = np.random.default_rng(0).integers(0, 65536, (40, 50, 3), dtype=np.uint16)
    with strict_pillow():
        picture = read_picture(png(tmp_path / "a.png", values))
    assert np.array_equal(picture.pixels, np.rint(values / 257))
    assert picture.changes == ("16 bits rounded to 8",)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_color_is_refused_where_the_picture_has_it(tmp_path: Path, bits: int) -> None:
    values = chart().astype(f"u{bits // 8}") * (1 if bits == 8 else 257)
    for color, refused in ((values[0, 0], True), (values[0, 0] + 1, False)):
        file = png(tmp_path / "a.png", values, (b"tRNS", struct.pack(">3H", *color.tolist())))
        if refused:
            with pytest.raises(PictureError, match=r"transparent: its color \(.*\) marks"):
                read(file)
        else:
            assert np.array_equal(read(file)[0], CHART)


@pytest.mark.parametrize("alpha", [65535, 65534])
def test_deep_alpha_is_looked_at(tmp_path: Path, alpha: int) -> None:
    deep = chart().astype(np.uint16) * 257
    file = png(tmp_path / "a.png", np.dstack([deep, np.full(deep.shape[:2], alpha, np.uint16)]))
    if alpha == 65535:
        assert np.array_equal(read(file)[0], CHART)
    else:
        with pytest.raises(PictureError, match="transparent"):
            read(file)


def test_a_warning_that_costs_no_pixel_is_none(tmp_path: Path) -> None:
    """A JPEG whose MPO index is damaged, as many phones write it: the base picture is whole."""
    plain = io.BytesIO()
    Image.fromarray(chart()).save(plain, format="JPEG", quality=95)
    index = b"MPF\0" + b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + b"\1\xb0\4\0\1\0\0\0" + b"\2" * 8
    raw = plain.getvalue()
    (tmp_path / "a.jpg").write_bytes(raw[:2] + b"\xff\xe2" + struct.pack(">H", 2 + len(index)) + index + raw[2:])
    (tmp_path / "plain.jpg").write_bytes(raw)
    with pytest.warns(UserWarning, match="malformed MPO"), Image.open(tmp_path / "a.jpg"):
        pass
    with warnings.catch_warnings(record=True) as heard:
        assert np.array_equal(read(tmp_path / "a.jpg")[0], read(tmp_path / "plain.jpg")[0])
    assert not heard
    assert read(tmp_path / "a.jpg")[1] == ()


def test_patches_are_converted_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 2}
    values = np.rint(255 * (linear(chart(CHART[:, :2])) @ TO_ADOBE.T) ** (256 / 563)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif)
    with strict_pillow():
        picture = read_patch(tmp_path / "a.jpg", 32)
    assert np.abs(picture.pixels[8::16, 8::16].astype(int) - CHART[:, :2]).max() <= 4
    assert picture.changes == ("converted from Adobe RGB (EXIF) to sRGB",)


@pytest.mark.slow
def test_changes_are_counted_by_kind(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for number in range(2):
        wide = np.random.default_rng(number).integers(0, 256, (9, 13, 3), dtype=np.uint8)
        large = np.asarray(Image.fromarray(wide).resize((1700 - 1000 * number, 300)))
        png(folder / f"{number}.png", large.astype(np.uint16) * 257, gamma(1.0))
    changed = open_data(f"deblur:{folder}", cache=tmp_path).summary["changed"]
    assert {reason: entry["count"] for reason, entry in changed.items()} == {
        "converted from gAMA 1 to sRGB": 2,
        "16 bits rounded to 8": 2,
        "reduced to 1600 px": 1,
    }
    assert changed["reduced to 1600 px"]["examples"] == ["0.png"]


@pytest.mark.skipif(not CASES.is_dir(), reason=f"no color cases in {CASES}")
@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("display_p3.png", 2),
        ("adobe_rgb.png", 2),
        ("display_p3.jpg", 4),  # JPEG takes its part
        ("adobe_rgb.jpg", 4),
        ("linear_gama.png", 2),
        ("sixteen_bit.png", 0),
    ],
)
def test_cases_that_were_read_wrong(name: str, levels: int) -> None:
    right = np.array(json.loads((CASES / "right.json").read_text())[name.partition(".")[0]])
    colors, changes = read(CASES / name)
    assert np.abs(colors.reshape(-1, 3) - right).max() <= levels
    assert len(changes) == 1
