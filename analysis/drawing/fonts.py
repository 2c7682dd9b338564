"""Fonts for text that is not ours: matplotlib's own font, DejaVu Sans, lacks Chinese, for example."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

_OWN = "DejaVu Sans"
# Words in the names of font files that are not upright sans-serif faces of normal weight.
_STYLED = ("bold", "italic", "oblique", "light", "thin", "black", "medium", "condensed", "mono", "serif")


def choose_fonts(figure: Figure) -> str:
    """Give every text of `figure` the installed fonts that it needs. Returns the characters that none of them has."""
    characters = frozenset("".join(own.get_text() for own in _texts(figure))) - _characters_of_own()
    if not characters:
        return ""
    families, missing = _families_for(characters)
    for own in _texts(figure):
        # matplotlib takes each character from the first family in the list that has it.
        own.set_fontfamily([_OWN, *families])
    return "".join(sorted(missing))


@contextmanager
def quiet_about_fonts() -> Iterator[None]:
    """Inside, matplotlib does not warn of every missing character, nor of a font without a bold face."""
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            yield
    finally:
        log.setLevel(level)


def _texts(figure: Figure) -> list[Text]:
    found: list[Text] = figure.findobj(Text)
    return found


@lru_cache
def _characters_of_own() -> frozenset[str]:
    # Line breaks and tabs are laid out, not drawn, so that no font needs them.
    return _characters(font_manager.findfont(_OWN)) | {"\n", "\t"}


# Cached, since opening every installed font is slow; a frozenset, since the key of a cache must be hashable.
@lru_cache
def _families_for(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families of installed fonts that have `characters`, as few as a greedy choice needs; and those that none has."""
    families: list[str] = []
    # Sorted, since the system lists fonts in any order, and equal runs should give equal files.
    for path in sorted(font_manager.findSystemFonts(), key=_preference):
        if not characters:
            break
        there = characters & _characters(path)
        if there:
            # matplotlib's list of fonts is a cache, which may be older than the font.
            font_manager.fontManager.addfont(path)
            families.append(font_manager.get_font(path).family_name)
            characters -= there
    return tuple(families), characters


def _characters(path: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, font_manager.get_font(path).get_charmap()))
    # A font that FreeType cannot read.
    except (OSError, RuntimeError):
        return frozenset()


def _preference(path: str) -> tuple[bool, str]:
    """Upright sans-serif fonts of normal weight first."""
    name = Path(path).stem.casefold()
    return any(word in name for word in _STYLED), name
