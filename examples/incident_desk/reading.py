"""Reading a call without a model: where it is, and in which language. Plain patterns; what they miss, they say so."""

import re

_STREET = r"(?:[A-ZÄÖÜ][\w'-]+ ){1,3}(?:Road|Street|Lane|Way|Square|Avenue)"
_STRASSE = r"(?:[A-ZÄÖÜ][\wäöüß-]*(?:straße|gasse|weg|platz|allee)|Am Kai)"

_PLACES = (
    rf"\b\d{{1,3}}[a-z]? {_STREET}\b",  # 22 Harbour Road
    rf"\b{_STREET} \d{{1,3}}\b",  # Museum Street 30
    rf"\b{_STRASSE} \d{{1,3}}\b",  # Lindenstraße 14
    rf"\b({_STRASSE})\b[^.!?]{{0,30}}\b(?:Nummer|Höhe der) (\d{{1,3}})\b",  # im Rosenweg brennt es, Nummer 41
    r"\b(?:gate \w+, )?Terminal \d\b",
    rf"\b(?:{_STREET}|{_STRASSE}|Campus Park|Hafenbrücke|Park am Campus)\b",
)
"""The more exact first."""

_GERMAN = re.compile(r"\b(?:ich|und|nicht|der|die|das|ist|wir|mein|meine|bei|auf|ein|eine|hier|mit)\b", re.IGNORECASE)
_ENGLISH = re.compile(r"\b(?:i|and|not|the|is|we|my|at|on|a|an|here|with|it|you|he|she|my)\b", re.IGNORECASE)


def place(text: str) -> str | None:
    """The most exact place that the caller names, the last one where there are several: people correct themselves."""
    for pattern in _PLACES:
        if found := list(re.finditer(pattern, text)):
            return " ".join(found[-1].groups()) or found[-1][0]
    return None


def field(text: str, name: str) -> str | None:
    """The value of one of the inputs that stand below the caller's words, such as the district of the telephone."""
    found = re.findall(rf"\b{name}\"?\s*[:=]\s*\"?([^\"\n,}}]+)", text)
    return str(found[-1]).strip() if found else None


def german(text: str) -> bool:
    """Whether the caller speaks more German than English."""
    return len(_GERMAN.findall(text)) > len(_ENGLISH.findall(text))
