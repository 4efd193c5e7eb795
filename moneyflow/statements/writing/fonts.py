"""Fonts: which font of this machine draws which character, so that a name of any script is drawn without a gap.

The fonts are Debian's packages fonts-noto-core, fonts-noto-cjk and fonts-symbola. A script has a font of its own there,
which is named after it. A text begins in the font of its own script and not in that of Latin letters: signs that all
scripts share, such as spaces and joiners, must not break it into pieces that are shaped apart.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from fontTools import unicodedata as scripts
from fontTools.ttLib import TTFont

from moneyflow.platform.errors import UnavailableError

_FOLDER = Path("/usr/share/fonts")
_BASE, BOLD = "NotoSans-Regular", "NotoSans-Bold"
_CJK = "NotoSansCJK-Regular"
#: Scripts that the base font has, and those of the font for Chinese, Japanese and Korean.
_OF_BASE = frozenset({"Latn", "Grek", "Cyrl", "Zyyy", "Zinh", "Zzzz"})
_OF_CJK = frozenset({"Hani", "Hira", "Kana", "Hang", "Bopo"})
#: The fonts in which any character is looked for in the end: symbols, and emoji in one colour.
_LAST = ("NotoSansSymbols-Regular", "NotoSansSymbols2-Regular", "NotoSansMath-Regular", "Symbola_hint", "Symbola", _CJK)
#: Drawn for a character that no font has.
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
#: Characters that are never seen by themselves: formats, and selectors of a variant.
_INVISIBLE = frozenset({"Cf", "Cc", "Cs", "Co", "Cn"})
_VARIANTS = range(0xFE00, 0xFE10)


@dataclass(frozen=True)
class Face:
    """A font: its name, its file, and the code points of the characters that it has."""

    name: str
    path: Path
    characters: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Drawable:
    """A text of which each character has a font: `first` draws what it can, and `others` the rest.

    `is_simple` text needs no shaping: each character is one glyph, from left to right.
    """

    text: str
    first: Face
    others: tuple[Face, ...]
    is_simple: bool


@lru_cache(maxsize=8192)
def drawable(text: str) -> Drawable:
    """Return a text with the fonts that draw it; a character that no font has is replaced by a sign for it.

    Raises:
        UnavailableError: the fonts are not installed.
    """
    first = next((face for face in map(_of_script, text) if face.name != _BASE), base())
    others: dict[str, Face] = {}
    kept = []
    for character in text:
        face = _face(character, first)
        if face is None:
            if unicodedata.category(character) in _INVISIBLE or ord(character) in _VARIANTS:
                continue
            face, character = base(), _REPLACEMENT  # noqa: PLW2901 - it is drawn in place of the one that no font has
        if face is not first:
            others[face.name] = face
        kept.append(character)
    is_simple = all(_is_simple(character) for character in kept)
    return Drawable(text="".join(kept), first=first, others=tuple(others.values()), is_simple=is_simple)


def base() -> Face:
    """Return the font of Latin, Greek and Cyrillic letters.

    Raises:
        UnavailableError: the fonts are not installed.
    """
    face = _named(_BASE)
    if face is None:
        raise UnavailableError(
            f"the fonts are missing in {_FOLDER}: install Debian's fonts-noto-core, fonts-noto-cjk and fonts-symbola"
        )
    return face


def bold_path() -> Path:
    """Return the file of the bold font of headings; raises as `base`."""
    base()
    return _files()[BOLD]


def _face(character: str, first: Face) -> Face | None:
    """Return the font that draws a character: that of its text, of its script, or any."""
    code = ord(character)
    return next((face for face in _candidates(character, first) if code in face.characters), None)


def _candidates(character: str, first: Face) -> Iterator[Face]:
    yield first
    yield _of_script(character)
    yield base()
    yield from (face for face in map(_named, _LAST) if face is not None)


@cache
def _of_script(character: str) -> Face:
    """Return the font of a character's script; the base font for one that has none."""
    script = scripts.script(character)
    if script in _OF_BASE:
        return base()
    name = scripts.script_name(script).replace("_", "").replace(" ", "")
    names = (_CJK,) if script in _OF_CJK else (f"NotoSans{name}-Regular", f"NotoSerif{name}-Regular")
    return next((face for face in map(_named, names) if face is not None), base())


def _is_simple(character: str) -> bool:
    """Return whether a character is a letter, digit or sign of Latin, Greek or Cyrillic, or an ideograph."""
    return not unicodedata.combining(character) and (
        ord(character) < 0x530 or scripts.script(character) in _OF_CJK  # noqa: PLR2004 - the end of Cyrillic
    )


@cache
def _named(name: str) -> Face | None:
    path = _files().get(name)
    if path is None:
        return None
    with TTFont(path, fontNumber=0, lazy=True) as font:
        return Face(name, path, frozenset(font.getBestCmap()))


@cache
def _files() -> Mapping[str, Path]:
    return {path.stem: path for path in _FOLDER.rglob("*.tt[fc]")}
