"""Photographs keep everything that the network has not changed: values, colors, bits, alpha, orientation, metadata."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from enhance.data.reading.colors import ColorError
from enhance.data.reading.pictures import PictureError
from enhance.photos import codec
from enhance.photos.codec import Photograph, in_own_colors, read, write
from tests.enhance.photos.profiles import display_p3

RANDOM = np.random.default_rng(0)
COLORS = RANDOM.integers(0, 256, (12, 17, 3)).astype(np.uint8)
DEEP = RANDOM.integers(0, 65536, (12, 17, 3)).astype(np.uint16)
ORIENTATION, ROTATED, MAKE = 0x0112, 6, 0x010F


def exif() -> Image.Exif:
    own = Image.Exif()
    own[ORIENTATION] = ROTATED
    own[MAKE] = "a camera"
    return own


def unchanged(photo: Photograph) -> np.ndarray:
    """What a network that changes nothing returns."""
    return (photo.srgb / np.iinfo(photo.srgb.dtype).max).astype(np.float32)


def again(photo: Photograph, path: Path) -> Photograph:
    write(photo, unchanged(photo), path)
    return read(path)


@pytest.mark.parametrize("profile", [b"", display_p3()], ids=["sRGB", "P3"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_a_network_that_changes_nothing_gives_back_the_file(suffix: str, profile: bytes, tmp_path: Path) -> None:
    source = tmp_path / f"a{suffix}"
    Image.fromarray(COLORS).save(source, exif=exif(), icc_profile=profile, lossless=True)
    photo = read(source)
    assert (photo.values == (np.rot90(COLORS, 3) if suffix == ".tif" else COLORS)).all()
    assert bool(photo.profile) == bool(profile) == (photo.srgb is not photo.values)
    assert (in_own_colors(photo, unchanged(photo)) == photo.values).all()
    back = again(photo, tmp_path / f"b{suffix}")
    assert back.profile == profile
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert image.getexif()[MAKE] == exif()[MAKE]
        # Pillow has turned the TIFF upright.
        assert image.getexif().get(ORIENTATION, 1) == (1 if suffix == ".tif" else ROTATED)
    if suffix != ".webp":
        assert (back.values == photo.values).all()


def test_a_jpeg_keeps_profile_orientation_and_size(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "a.jpg", exif=exif(), icc_profile=display_p3(), quality=95, dpi=(300, 300))
    photo = read(tmp_path / "a.jpg")
    back = again(photo, tmp_path / "b.jpg")
    assert back.values.shape == COLORS.shape
    assert (back.profile, back.metadata) == (photo.profile, photo.metadata)
    assert np.abs(back.values.astype(int) - photo.values).mean() < 3


def test_a_change_in_srgb_is_one_in_the_colors_of_the_file(tmp_path: Path) -> None:
    """Gray is gray in both; it is the primaries that differ."""
    gray = np.full((8, 8, 3), 100, np.uint8)
    Image.fromarray(gray).save(tmp_path / "a.png", icc_profile=display_p3())
    photo = read(tmp_path / "a.png")
    red = unchanged(photo).copy()
    red[..., 0] = 0.9
    own = in_own_colors(photo, red)[0, 0].astype(int)
    # sRGB's red is less saturated than P3's: less red, and more of the others.
    assert 180 < own[0] < 0.9 * 255
    assert own[1] > 100


@pytest.mark.parametrize("profile", [b"", display_p3()], ids=["sRGB", "P3"])
@pytest.mark.parametrize("alpha", [False, True])
def test_all_sixteen_bits_come_back(alpha: bool, profile: bytes, tmp_path: Path) -> None:
    values = np.concatenate((DEEP, DEEP[..., :1]), axis=-1) if alpha else DEEP
    photo = Photograph(
        DEEP, DEEP if not profile else (DEEP // 257).astype(np.uint8), values[..., 3] if alpha else None, "PNG", profile
    )
    write(photo, unchanged(photo), tmp_path / "a.png")
    back = read(tmp_path / "a.png")
    assert (back.values == DEEP).all()
    assert back.profile == profile
    assert (back.alpha is None) == (not alpha)
    if alpha:
        assert (back.alpha == DEEP[..., 0]).all()


def test_a_deep_tiff_comes_back_with_its_profile(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb", iccprofile=display_p3())
    photo = read(tmp_path / "a.tif")
    back = again(photo, tmp_path / "b.tif")
    assert (photo.values == DEEP).all()
    assert (back.values == DEEP).all()
    assert back.profile == display_p3()


def test_a_deep_tiff_keeps_what_is_said_about_it(tmp_path: Path) -> None:
    said = {ORIENTATION: ROTATED, MAKE: "a camera", 270: "a street", 305: "an editor"}
    tags = [(code, "H" if code == ORIENTATION else "s", 1 if code == ORIENTATION else 0, value, True)
            for code, value in said.items()]  # fmt: skip
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="rgb", extratags=tags, metadata=None, software=False)
    write(read(tmp_path / "a.tif"), unchanged(read(tmp_path / "a.tif")), tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert {code: file.pages.first.tags[code].value for code in said} == said
        assert (file.asarray() == DEEP).all()


def test_a_deep_tiff_may_lie_in_planes(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(DEEP, -1, 0), photometric="rgb", planarconfig="separate")
    assert (read(tmp_path / "a.tif").values == DEEP).all()


def test_a_deep_tiff_that_cannot_be_decoded_is_not_read_as_8_bits(tmp_path: Path) -> None:
    if importlib.util.find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed, and decodes it")
    cv2.imwrite(str(tmp_path / "a.tif"), DEEP, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    with pytest.raises(PictureError, match=r"16 bits, compression LZW.*save it uncompressed or with ZIP"):
        read(tmp_path / "a.tif")


def test_metadata_that_do_not_fit_are_named(tmp_path: Path) -> None:
    photo = Photograph(COLORS, COLORS, None, "JPEG", metadata={"exif": b"Exif\0\0" + bytes(70_000)})
    with pytest.raises(PictureError, match="not written: JPEG with its metadata"):
        write(photo, unchanged(photo), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_a_profile_without_a_way_back_is_refused_before_the_network_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(profile: bytes) -> None:
        raise ColorError("its profile leads to sRGB, but not back")

    Image.fromarray(COLORS).save(tmp_path / "a.png", icc_profile=display_p3())
    monkeypatch.setattr(codec, "_from_srgb", refuse)
    with pytest.raises(PictureError, match="unknown colors: its profile leads to sRGB, but not back"):
        read(tmp_path / "a.png")


def test_alpha_is_kept(tmp_path: Path) -> None:
    alpha = RANDOM.integers(0, 256, (12, 17, 1)).astype(np.uint8)
    Image.fromarray(np.concatenate((COLORS, alpha), axis=-1)).save(tmp_path / "a.png")
    back = again(read(tmp_path / "a.png"), tmp_path / "b.png")
    assert back.alpha is not None
    assert (back.alpha == alpha[..., 0]).all()


def test_a_transparent_color_becomes_an_alpha_channel(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "a.png", transparency=tuple(map(int, COLORS[3, 4])))
    back = again(read(tmp_path / "a.png"), tmp_path / "b.png")
    assert back.alpha is not None
    assert [tuple(place) for place in np.argwhere(back.alpha == 0)] == [(3, 4)]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "CMYK"])
def test_other_modes_are_read_as_colors_and_it_is_said(mode: str, tmp_path: Path) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    Image.fromarray(COLORS).convert(mode).save(tmp_path / f"a{suffix}")
    photo = read(tmp_path / f"a{suffix}")
    assert photo.values.shape == COLORS.shape
    assert photo.notes == {"L": ("gray, written as RGB",), "LA": ("gray, written as RGB",), "P": (),
                           "CMYK": ("CMYK converted to sRGB",)}[mode]  # fmt: skip


def test_what_only_exif_calls_adobe_rgb_becomes_srgb_with_a_profile(tmp_path: Path) -> None:
    own = Image.Exif()
    own.get_ifd(0x8769)[0xA001] = 2
    Image.fromarray(COLORS).save(tmp_path / "a.jpg", exif=own, quality=100)
    photo = read(tmp_path / "a.jpg")
    assert photo.notes == ("converted from Adobe RGB (EXIF) to sRGB",)
    back = again(photo, tmp_path / "b.jpg")
    assert back.notes == ()
    assert np.abs(back.srgb.astype(int) - photo.srgb).mean() < 3


@pytest.mark.parametrize("content", [b"", b"no picture", b"\xff\xd8\xff\xe0 cut off"])
def test_a_damaged_file_is_named_with_its_reason(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(PictureError, match="unreadable"):
        read(tmp_path / "a.jpg")


def test_a_truncated_photograph_is_refused(tmp_path: Path) -> None:
    Image.fromarray(COLORS.repeat(20, 0).repeat(20, 1)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match="truncated"):
        read(tmp_path / "a.jpg")
