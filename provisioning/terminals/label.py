"""A terminal's label: what to stick on it. The code holds no secret, and no token."""

from __future__ import annotations

import io
from html import escape
from typing import Final

import segno

from contract.enrolment import EnrolmentFile

_SCALE: Final = 4
_WIDTH: Final = 560
_LINE: Final = 30
_SHOWN_DIGITS: Final = 16


def text_of(file: EnrolmentFile) -> str:
    """What the QR code says."""
    return f"tapover:{file.site}/{file.ward}/{file.terminal}#{file.root_fingerprint}"


def png(file: EnrolmentFile) -> bytes:
    """The code alone."""
    out = io.BytesIO()
    _code(file).save(out, kind="png", scale=_SCALE * 2, border=4)
    return out.getvalue()


def svg(file: EnrolmentFile) -> bytes:
    """Code and words, 140 mm by 45 mm when printed at 100 dpi."""
    code = _code(file)
    inner = code.svg_inline(scale=_SCALE, border=4)
    size, _ = code.symbol_size(scale=_SCALE, border=4)
    lines = [
        f'<text x="{size + 10}" y="{40 + _LINE * n}" font-size="{26 if n == 0 else 16}">'
        f"{escape(words)}</text>"
        for n, words in enumerate(_words(file))
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{size}"'
        f' viewBox="0 0 {_WIDTH} {size}" font-family="sans-serif">'
    )
    return "\n".join([head, inner, *lines, "</svg>", ""]).encode()


def _words(file: EnrolmentFile) -> list[str]:
    return [
        file.terminal,
        f"ward {file.ward}, site {file.site}",
        f"root {file.root_fingerprint[:_SHOWN_DIGITS]}…",
    ]


def _code(file: EnrolmentFile) -> segno.QRCode:
    return segno.make_qr(text_of(file), error="m")
