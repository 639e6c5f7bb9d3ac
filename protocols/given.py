"""What public methods are given, looked at before anything is sent: a wrong value is named where it is written."""

from __future__ import annotations

import math
from typing import get_args

from .errors import BadArgument
from .ids import Address, address

HIGHEST = 2**63
"""Priorities are below it, and not below its negative: a row holds 64 bits."""


def patience(timeout: object, field: str = "timeout") -> float | None:
    """Seconds that a caller waits, 0 or more; None for ever, and so is infinity. Raises BadArgument."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or math.isnan(as_float(timeout)):
        raise BadArgument(f"{field}={timeout!r} is no time", hint="give seconds, or None to wait for ever")
    if timeout < 0:
        raise BadArgument(
            f"{field}={timeout!r} is over before it begins", hint="give seconds, 0 or more, or None to wait for ever"
        )
    return None if math.isinf(as_float(timeout)) else timeout


def as_float(number: float) -> float:
    """A number as a float; a whole one that no float can hold is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def seconds(field: str, value: object, *, least: float = -math.inf) -> float:
    """A finite number of seconds. Raises BadArgument."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(as_float(value))
        or value < least
    ):
        above = f", {least:g} or more" if math.isfinite(least) else ""
        raise BadArgument(f"{field}={value!r} is no time", hint=f"give a number of seconds{above}")
    return value


def priority(value: object) -> int:
    """A whole number. Raises BadArgument. (``True`` would be stored as a word, and the row could not be read.)"""
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadArgument(f"priority={value!r} is no whole number", hint="higher ones are taken first; 0 is usual")
    if not -HIGHEST <= value < HIGHEST:
        raise BadArgument(f"priority={value!r} takes more than 64 bits", hint="a smaller number does as well")
    return value


def count(field: str, value: object, *, least: int = 0) -> int:
    """A whole number of things. Raises BadArgument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadArgument(f"{field}={value!r}", hint=f"give a whole number, {least} or more")
    return value


def name(field: str, value: object) -> Address:
    """The address of somebody. Raises BadArgument."""
    if not isinstance(value, str):
        raise BadArgument(f"{field}={value!r} is not an address", hint="an address is text, such as 'accounts/ada'")
    try:
        return address(value)
    except ValueError as error:
        raise BadArgument(f"{field}={value!r}: {error}") from error


def word(field: str, value: object, literal: object) -> None:
    """One of the words of a ``Literal``. Raises BadArgument."""
    words: tuple[str, ...] = get_args(literal)
    if not isinstance(value, str) or value not in words:
        raise BadArgument(f"{field}={value!r}", hint=f"one of: {', '.join(words)}")


def flag(field: str, value: object) -> None:
    """True or False. Raises BadArgument."""
    if not isinstance(value, bool):
        raise BadArgument(f"{field}={value!r}", hint="True or False")
