"""Photographs with everything around their pixels: profile, EXIF, XMP, resolution, alpha, bit depth.

The network works in sRGB. Its change is carried back into the colors of the file: the converted output, plus what the
conversion there and back loses. So a network that changes nothing gives back the file's values, colors outside sRGB
and all 16 bits included.
"""

import functools
import io
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, ImageCms

from enhance.data.reading.colors import ColorError, to_srgb
from enhance.data.reading.folders import is_special
from enhance.data.reading.pictures import PictureError
from enhance.data.storage.store import Patches, Pixels

SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP"}
"""Files that are written as what they were."""

CONVERTED = (".heic", ".heif", ".avif", ".bmp")
"""Files that are read, and written as JPEG."""

QUALITY = 95
"""Of JPEG and WebP, on their scale to 100; the highest that Pillow advises."""

DEEP_PNG, DEEP_TIFF = ";16B", (".tif", ".tiff")
ICC_TAG = 34675
EXIF_IFD, GPS_IFD, ORIENTATION = 0x8769, 0x8825, 274
DEEP_TAGS = (270, 271, 272, 305, 306, 315, 33432, ORIENTATION)
"""Tags of a TIFF of 16 bits that are written again."""

DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 33432, EXIF_IFD, GPS_IFD)
"""Tags of a TIFF about the picture: description, make, model, software, time, artist, copyright, EXIF and GPS."""

PLAIN = ("RGB", "RGBA", "L", "LA", "I;16")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph as its file has it, and as a network sees it.

    values: (H, W, 3) uint8 or uint16, in the colors of the file, in the orientation in which they are stored.
    srgb: the same picture in sRGB; the same array if the file is sRGB.
    alpha: (H, W), of the same dtype, or None.
    profile: the ICC profile of `values`; b"" if the file needs none, as sRGB does.
    metadata: options for Pillow's `save`: EXIF, XMP, resolution.
    notes: what was done to the file's values, in words.
    """

    values: Patches
    srgb: Patches
    alpha: Patches | None
    format: str
    profile: bytes = b""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read(path: Path) -> Photograph:
    """Read a photograph. Raises PictureError, with the reason, for one that is not whole or not understood."""
    if is_special(path):
        raise PictureError("unreadable", "not a regular file")
    try:
        return _read(path)
    except PictureError:
        raise
    except ColorError as error:
        raise PictureError("unknown colors", str(error)) from error
    # Decoders raise whatever they like about damaged files, and one of them must not end the others.
    except Exception as error:
        said = " ".join(str(error).split())
        raise PictureError("unreadable", f"{type(error).__name__}: {said[:200]}") from error


def _read(path: Path) -> Photograph:
    # Before Pillow, which reads the high bytes of a TIFF of 16 bits.
    if path.suffix.lower() in DEEP_TIFF and (deep := _deep_tiff(path)) is not None:
        return deep
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        return _photograph(path, image)


def write(photo: Photograph, output: Floats, path: Path, quality: int = QUALITY) -> None:
    """Write the enhanced sRGB `output`, (H, W, 3) in [0, 1], in the place of the photograph's pixels.

    The file is whole or absent. Raises OSError, and PictureError if the format cannot hold the photograph's metadata.
    """
    try:
        content = _encoded(photo, in_own_colors(photo, output), quality)
    except (ValueError, TypeError) as error:
        said = " ".join(str(error).split())
        raise PictureError("not written", f"{photo.format} with its metadata: {said[:200]}") from error
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def in_own_colors(photo: Photograph, output: Floats) -> Patches:
    """sRGB `output`, (H, W, 3) in [0, 1], as values of the file: its colors and its bit depth."""
    top = np.iinfo(photo.values.dtype).max
    if photo.profile and photo.srgb is not photo.values:
        back = _from_srgb(photo.profile)
        before = back(photo.srgb).astype(np.int32)
        after = back(np.rint(255 * output).astype(np.uint8))
        changed = photo.values + (after - before) * (top // 255)
    else:
        changed = np.rint(top * output).astype(np.int64)
    result: Patches = changed.clip(0, top).astype(photo.values.dtype)
    return result


def _photograph(path: Path, image: Any) -> Photograph:
    format_ = "JPEG" if path.suffix.lower() not in SUFFIXES else str(image.format)
    metadata = _metadata(image)
    notes: tuple[str, ...] = ()
    if path.suffix.lower() not in SUFFIXES:
        notes += (f"{image.format} written as JPEG",)
    profile = image.info.get("icc_profile") or b""
    if image.mode == "CMYK":
        image, profile = _from_cmyk(image, profile), b""
        notes += ("CMYK converted to sRGB",)
    elif image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif image.mode not in PLAIN:
        raise PictureError("not understood", f"mode {image.mode}")
    values = _deep_png(path, image) if image.format == "PNG" else np.asarray(image)
    values, alpha, gray = _split(values, image.mode)
    # PNG's tRNS: the pixels of one color are transparent. Their color may change, so an alpha channel says it now.
    color = image.info.get("transparency")
    if alpha is None and isinstance(color, tuple | int):
        there = (values != np.asarray(color)).any(axis=-1)
        alpha = there.astype(values.dtype) * np.iinfo(values.dtype).max
    if gray:
        profile = b""
        notes += ("gray, written as RGB",)
    if gray or not profile:
        srgb, space = (values, "") if gray else _tagged(values, image)
        if space:
            notes += (f"converted from {space} to sRGB",)
        # The mark stays in EXIF; a profile overrides it.
        own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if space else b""
        return Photograph(srgb, srgb, alpha, format_, own, metadata, notes)
    converted, profile = _converted(values, profile)
    return Photograph(values, converted, alpha, format_, profile, metadata, notes)


def _metadata(image: Any) -> dict[str, Any]:
    """What is said about a picture beside its pixels, as options of Pillow's `save`."""
    found = {name: image.info[name] for name in ("exif", "xmp", "dpi") if image.info.get(name)}
    if image.format == "TIFF":
        # There EXIF's entries stand among those that say how the pixels are stored. Pillow turns a TIFF upright as it
        # reads it, so the orientation is left out.
        everything = image.getexif()
        own = Image.Exif()
        own.update({tag: everything[tag] for tag in DESCRIPTIVE if tag in everything})
        found["exif"] = own.tobytes()
    return found


def _tagged(values: Patches, image: Image.Image) -> tuple[Patches, str]:
    """Values without a profile in sRGB, and the name of the space that other marks declare; "" if it is sRGB."""
    converted, space = to_srgb(values, image)
    # All bits of what is sRGB already: the conversion would leave eight.
    return (converted, space) if space else (values, "")


def _split(values: Patches, mode: str) -> tuple[Patches, Patches | None, bool]:
    """Colors, alpha and whether the picture is gray."""
    if values.ndim == 2:
        values = values[..., None]
    gray = values.shape[-1] < 3
    colors = 1 if gray else 3
    alpha = np.ascontiguousarray(values[..., colors]) if values.shape[-1] > colors else None
    own = np.repeat(values[..., :1], 3, axis=-1) if gray else values[..., :3]
    if own.dtype not in (np.uint8, np.uint16):
        raise PictureError("not understood", f"mode {mode}, {own.dtype}")
    return np.ascontiguousarray(own), alpha, gray


def _deep_png(path: Path, image: Any) -> Patches:
    """The values of an open PNG with all their bits: of 16, Pillow keeps the high byte in RGB pictures."""
    if not str(image.tile[0].args if image.tile else "").endswith(DEEP_PNG) or image.mode not in ("RGB", "RGBA", "LA"):
        return np.asarray(image)
    high = np.asarray(image)
    with Image.open(path) as again:
        # Told that the values are little-endian, it keeps the low byte instead.
        again.tile = [tile._replace(args=str(tile.args).replace(";16B", ";16L")) for tile in again.tile]
        low = np.asarray(again)
    return np.asarray((high.astype(np.uint16) << 8) + low, np.uint16)


def _deep_tiff(path: Path) -> Photograph | None:
    """A TIFF of 16 bits per color, as it is stored; None for any other file. Raises PictureError if it is damaged."""
    try:
        file = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, OSError):
        return None  # Pillow says what it is
    with file:
        page = file.pages.first
        if page.dtype != np.uint16 or page.photometric != tifffile.PHOTOMETRIC.RGB:
            return None
        try:
            values = page.asarray()
        # Not read as 8 bits instead: that would lose half of each value without a word.
        except Exception as error:
            said, how = " ".join(str(error).split())[:120], tifffile.COMPRESSION(page.compression).name
            detail = f"16 bits, compression {how}: {said}; save it uncompressed or with ZIP"
            raise PictureError("not understood", detail) from error
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            values = np.moveaxis(values, 0, -1)
        tags = {tag.code: tag for tag in page.tags}
        kept = [(code, tag.dtype, tag.count, tag.value, True) for code, tag in tags.items() if code in DEEP_TAGS]
        profile = bytes(tags[ICC_TAG].value) if ICC_TAG in tags else b""
    nested = ("EXIF and GPS left out, as of every TIFF of 16 bits",) if {EXIF_IFD, GPS_IFD} & tags.keys() else ()
    colors, alpha, _ = _split(values, "RGB;16")
    srgb, profile = _converted(colors, profile)
    return Photograph(colors, srgb, alpha, "TIFF", profile, {"extratags": kept}, nested)


def _converted(values: Patches, profile: bytes) -> tuple[Patches, bytes]:
    """The values in sRGB, and the profile if they were in other colors. Raises ColorError."""
    image = Image.new("RGB", (1, 1))
    image.info["icc_profile"] = profile
    converted, space = to_srgb(values, image) if profile else (values, "")
    if not space:
        return values, profile
    # Now, not when the network is done.
    _from_srgb(profile)
    return converted, profile


def _from_cmyk(image: Image.Image, profile: bytes) -> Image.Image:
    if not profile:
        return image.convert("RGB")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), intent, outputMode="RGB")
    assert converted is not None, "it is not in place"
    return converted


@functools.lru_cache(maxsize=16)  # the photographs of one folder share a few profiles
def _from_srgb(profile: bytes) -> Any:
    """A function that converts (H, W, 3) uint8 sRGB to the colors of an ICC profile. Raises ColorError."""
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    try:
        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), target, "RGB", "RGB", intent)
    except ImageCms.PyCMSError as error:
        raise ColorError(
            f"its profile leads to sRGB, but not back ({error}); convert the photograph to sRGB"
        ) from error
    return lambda pixels: np.asarray(transform.apply(Image.fromarray(np.ascontiguousarray(pixels))))


# --- encoding ------------------------------------------------------------------------------------------------------


def _encoded(photo: Photograph, values: Patches, quality: int) -> bytes:
    alpha = photo.alpha
    if values.dtype == np.uint16:
        whole = values if alpha is None else np.concatenate((values, alpha[..., None]), axis=-1)
        return _tiff(whole, photo) if photo.format == "TIFF" else _png(whole, photo)
    if photo.format == "JPEG" or alpha is None:
        image = Image.fromarray(values)
    else:
        image = Image.fromarray(np.concatenate((values, alpha[..., None]), axis=-1))
    options: dict[str, Any] = {**photo.metadata, **({"icc_profile": photo.profile} if photo.profile else {})}
    if photo.format in ("JPEG", "WEBP"):
        options["quality"] = quality
    if photo.format == "JPEG":
        # So that colors keep their resolution.
        options["subsampling"] = 0
    packed = io.BytesIO()
    image.save(packed, format=photo.format, **options)
    return packed.getvalue()


def _tiff(values: Patches, photo: Photograph) -> bytes:
    packed = io.BytesIO()
    tags = photo.metadata.get("extratags", ())
    # Without the description and the software that tifffile writes of its own accord.
    tifffile.imwrite(
        packed, values, photometric="rgb", compression="zlib", iccprofile=photo.profile or None, extratags=tags,
        metadata=None, software=False,
    )  # fmt: skip
    return packed.getvalue()


def _png(values: Patches, photo: Photograph) -> bytes:
    """A PNG of 16 bits per color, which Pillow does not write (ISO/IEC 15948: chunks IHDR, iCCP, eXIf, IDAT, IEND)."""
    height, width, channels = values.shape
    lines = np.zeros((height, 1 + 2 * channels * width), np.uint8)
    lines[:, 1:] = values.astype(">u2").view(np.uint8).reshape(height, -1)
    # The first byte of a line names its filter: "up" (2), the difference to the line above, compresses best of the
    # plain ones.
    lines[1:, 1:] -= lines[:-1, 1:].copy()
    lines[1:, 0] = 2
    header = struct.pack(">IIBBBBB", width, height, 16, 6 if channels == 4 else 2, 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if photo.profile:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.profile)))
    if exif := photo.metadata.get("exif"):
        chunks.append((b"eXIf", exif.removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def small_jpeg(pixels: Pixels, longest_px: int) -> bytes:
    """(H, W, 3) uint8 pixels as a JPEG whose longest side is at most `longest_px`, for a page."""
    image = Image.fromarray(pixels)
    image.thumbnail((longest_px, longest_px), Image.Resampling.LANCZOS)
    packed = io.BytesIO()
    image.save(packed, format="JPEG", quality=88)
    return packed.getvalue()
