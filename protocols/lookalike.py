"""Names that look like another: a Cyrillic or Greek letter for a Latin one, fullwidth forms, characters that nobody sees.

A model copies names from texts that strangers wrote, so such a name is refused, and the refusal says which one it resembles. A person
whose name only looks like another's does not count as a second one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_READ_AS = {
    "\u0430\u0432\u0441\u0501\u0435\u04bb\u0456\u0458\u043a\u04cf\u043c": "abcdehijklm",
    "\u0578\u043e\u0440\u051b\u0455\u0442\u057d\u0475\u051d\u0445\u0443": "nopqstuvwxy",
    "\u0410\u0412\u0421\u0415\u041d\u0406\u0408\u041a\u041c\u041e": "ABCEHIJKMO",
    "\u0420\u0405\u0422\u0425\u0423\u050c\u051a\u051c\u0474": "PSTXYGQWV",
    "\u03b1\u03b2\u03b3\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7": "abyikvoptux",
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7": "ABEZHIKMNOPTYX",
    "\u0131": "i",
}
"""Letters of Cyrillic, Armenian and Greek that read as Latin ones: the common ones of Unicode's ``confusables.txt``."""

_LATIN = str.maketrans("".join(_READ_AS), "".join(_READ_AS.values()))


_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that show nothing."""


def seen(name: str) -> str:
    """How a name looks: compatible forms as the plain ones, look-alikes as Latin letters, nothing that nobody sees."""
    plain = unicodedata.normalize("NFKD", name)
    shown = "".join(c for c in plain if c not in _BLANK and unicodedata.category(c) not in ("Cf", "Cc", "Mn"))
    return shown.translate(_LATIN).casefold()


def meant(name: str, known: Iterable[str]) -> str:
    """The name that this one looks like without being it; empty where it looks like none."""
    if name.isascii() and name.isprintable():
        return ""
    look = seen(name)
    return next((other for other in known if other != name and seen(other) == look), "")
