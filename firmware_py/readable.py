"""What somebody else may have shown for a person to sign: it reads as it is signed.

The card signs the digest of exact characters; a person signs what she sees. So there is nothing
that is not seen, nothing that stands elsewhere than it is read, nothing that only looks like
another letter in the midst of a word, and no empty stretch that pushes the rest out of sight.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Of categories that are seen, and yet drawn as nothing (Default_Ignorable_Code_Point, and Braille's
# blank).
_BLANK: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_BACKWARD: Final = frozenset({"R", "AL", "AN"})
"""Digits beside these are drawn in another order than they are signed."""
# One empty line at a time, and no line that is pushed aside.
_STRETCH: Final = re.compile(r"\n[^\S\n]*\n[^\S\n]*\n|[^\S\n]{17}")
_MARKS: Final = 2
"""On one letter; more would cover the lines around."""
_WORD: Final = re.compile(r"[^\W\d_]+")
# Greek stands in units and substances ("\u03bcg"); these are taken for Latin letters.
_LATIN_LIKE: Final = frozenset(
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u03b9\u03bd\u03bf\u03c1\u03c5\u03c7"
)


def readable(text: str) -> str:
    """The text itself. Raises ValueError, which never quotes it."""
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if (category in _UNSEEN and char != "\n") or _BLANK.match(char):
            raise ValueError("a character that nobody sees")
        if unicodedata.bidirectional(char) in _BACKWARD:
            raise ValueError("letters that are read from the right")
        marks = marks + 1 if category.startswith("M") else 0
        if marks > _MARKS:
            raise ValueError("marks upon marks")
    if not text.strip():
        raise ValueError("nothing to read")
    if _STRETCH.search(text):
        raise ValueError("a stretch of nothing")
    if any(_is_mixed(word) for word in _WORD.findall(text)):
        raise ValueError("letters of two alphabets in one word")
    return text


def _is_mixed(word: str) -> bool:
    names = {unicodedata.name(char, "").partition(" ")[0] for char in word}
    return "LATIN" in names and ("CYRILLIC" in names or not _LATIN_LIKE.isdisjoint(word))
