"""Secrets: a value that shows itself to nobody unasked, and hiding what is known to be one in everything that is kept or shown.

Whoever makes a ``Secret`` has this process know its value from then on. Wherever text comes in from elsewhere (results, failures,
heartbeats, what is said to models and by them, the log) it is replaced by ``[secret]``, as it is and in the forms in which it is commonly
passed on: escaped for JSON, Python, HTML or an address, in hexadecimal, in base64 wherever it begins. Programs without secrets pay nothing.

What this cannot find: a value that is taken apart, reversed, compressed or encrypted. A tool that wants to give a secret away can; the
gate's other checks look at where it would go.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn, SupportsIndex, cast

import msgspec

from .effects import Attempt
from .errors import DefinitionError, NotStorable
from .failures import Failure, hide_with

HIDDEN = "[secret]"

SHORTEST = 6
"""Characters of a secret. A shorter text occurs by chance, and could not be hidden without hiding what is none."""

CUT = 8
"""Characters of a secret at the end or the beginning of a text that are hidden, too: the text may have been cut off there."""

LINE = 16
"""Characters from which on one line of a secret of several lines is hidden by itself."""


class Secret:
    """A value that never shows: not when it is printed, formatted, logged, encoded or pickled.

    A tool takes one as a parameter of this type whose default it is; that parameter is no part of what models see or callers give:

        KEY = us.Secret(os.environ["WEATHER_KEY"])

        @us.tool(effect="read")
        def forecast(city: str, key: us.Secret = KEY) -> str:
            return ask_the_service(city, key.reveal())

    From then on its value is replaced by ``[secret]`` in results, failures, heartbeats, questions to models, their answers and the log; a
    message or a turn that would put it into the journal is refused.

    Args:
        value: 6 characters or more.

    Raises:
        DefinitionError: it is empty, too short or no text. The message does not show it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise DefinitionError(f"Secret(…) was given a {type(value).__name__}", hint="give the value as text")
        if len(value.strip()) < SHORTEST:
            hint = "is its variable set?" if not value.strip() else "a shorter text could not be told from other text"
            raise DefinitionError(f"Secret(…) needs {SHORTEST} characters or more", hint=hint)
        self._value = value
        hide(value)

    def reveal(self) -> str:
        """The value, for the moment at which it is used."""
        return self._value

    @staticmethod
    def like(pattern: str) -> None:
        """Have this process hide everything that looks so, such as ``r"sk-[A-Za-z0-9]{20,}"``, in each text of its own.

        Raises:
            DefinitionError: it is no regular expression, or fits an empty text.
        """
        KNOWN.like(pattern)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a us.Secret is not pickled: give its name, and make it where it is used")


class _Known:
    """What is hidden in this process."""

    def __init__(self) -> None:
        self.values: dict[str, None] = {}
        self.patterns: list[re.Pattern[str]] = []
        self.forms: re.Pattern[str] | None = None
        self.raw: re.Pattern[bytes] | None = None
        self.any = False
        """Whether there is anything to hide; asked in every turn."""

    def add(self, value: str) -> None:
        if value in self.values:
            return
        self.any = True
        self.values[value] = None
        for line in value.splitlines():
            if len(line.strip()) >= LINE and not line.startswith("-----"):
                self.values[line.strip()] = None
        found = sorted({form for one in self.values for form in forms(one)}, key=len, reverse=True)
        self.forms = re.compile("|".join(map(re.escape, found)))
        self.raw = re.compile(b"|".join(re.escape(form.encode("utf-8", "replace")) for form in found))
        hide_with(hidden)

    def like(self, pattern: str) -> None:
        try:
            made = re.compile(pattern)
        except (re.error, TypeError) as error:
            raise DefinitionError(f"Secret.like({pattern!r}): {error}", hint="give a regular expression") from error
        if made.search("") is not None:
            raise DefinitionError(f"Secret.like({pattern!r}) fits an empty text", hint="it would hide everything")
        self.any = True
        self.patterns.append(made)
        hide_with(hidden)


KNOWN = _Known()


def hide(value: str) -> None:
    """Have this process hide a value from now on. One that is too short is left alone."""
    if len(value.strip()) >= SHORTEST:
        KNOWN.add(value)


def forms(value: str) -> set[str]:
    """A value as it may stand in a text."""
    import html
    import json
    from base64 import b64encode
    from urllib.parse import quote, quote_plus

    found = {value, value.strip(), html.escape(value), repr(value)[1:-1], quote(value), quote(value, safe="")}
    found |= {quote_plus(value), re.sub("%..", lambda match: match[0].lower(), quote(value, safe=""))}
    once = {json.dumps(one, ensure_ascii=plain)[1:-1] for one in (value, repr(value)[1:-1]) for plain in (True, False)}
    found |= once | {json.dumps(one, ensure_ascii=plain)[1:-1] for one in once for plain in (True, False)}
    data = value.encode("utf-8", "surrogatepass")
    found |= {data.hex(), data.hex().upper()}
    for before in range(3):  # base64 of more than the secret alone: what stands before moves its bits
        whole = b64encode(b"\0" * before + data).decode()
        core = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        found |= {core, core.replace("+", "-").replace("/", "_"), core.replace("/", "\\/")}
    return {form for form in found if len(form) >= SHORTEST}


def hidden(text: str) -> str:
    """A text in which what is known to be secret is not to be read. One that was cut off may begin or end with a part of it."""
    if KNOWN.forms is not None:
        text = KNOWN.forms.sub(HIDDEN, text)
        for value in KNOWN.values:
            if "\n" in value:  # its lines are known by themselves
                continue
            for size in range(min(len(value) - 1, len(text)), CUT - 1, -1):
                if text.endswith(value[:size]):
                    text = text[:-size] + HIDDEN
                    break
                if text.startswith(value[-size:]):
                    text = HIDDEN + text[size:]
                    break
    for pattern in KNOWN.patterns:
        text = pattern.sub(HIDDEN, text)
    return text


def without_secrets(data: bytes) -> bytes:
    """JSON with no secret in any of its texts, keys and numbers; the very bytes where there is none."""
    if not KNOWN.any:
        return data
    value = msgspec.json.decode(data)
    clean = _walk(value)
    return data if clean == value else msgspec.json.encode(clean)


def _walk(value: object) -> object:
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, list):
        return [_walk(one) for one in cast("list[object]", value)]
    if isinstance(value, dict):
        return {hidden(key): _walk(one) for key, one in cast("dict[str, object]", value).items()}
    if isinstance(value, (int, float)) and str(value) in KNOWN.values:
        return HIDDEN
    return value


def is_hiding() -> bool:
    """Whether this process knows any secret."""
    return KNOWN.any


def refuse_secrets(data: bytes, what: str) -> None:
    """See that nothing that would be stored holds a known value.

    Raises:
        NotStorable: it does. The message does not show it.
    """
    if KNOWN.raw is not None and KNOWN.raw.search(data) is not None:
        raise NotStorable(
            f"{what} holds a secret", hint="keep it in a us.Secret, and reveal it only in the tool that uses it"
        )


def of_failure(failure: Failure) -> Failure:
    """A failure and its causes without secrets."""
    cause = failure.cause
    clean = msgspec.structs.replace(
        failure, code=hidden(failure.code), message=hidden(failure.message), hint=hidden(failure.hint), where=hidden(failure.where),
        cause=None if cause is None else of_failure(cause),
    )  # fmt: skip
    return failure if clean == failure else clean


def of_attempt(attempt: Attempt) -> Attempt:
    """What an attempt came to, its failure without secrets. (Its value is looked at where its type is known.)"""
    if not KNOWN.any or attempt.failure is None:
        return attempt
    return msgspec.structs.replace(attempt, failure=of_failure(attempt.failure))
