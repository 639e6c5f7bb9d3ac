"""Tools whose results nobody can use, at the top of a module so that a process finds them."""

from __future__ import annotations

import math
import threading
from typing import Any

import understudy as us


def huge() -> str:
    """50 MB."""
    return "x" * 50_000_000


def surrogate() -> str:
    """No UTF-8."""
    return "half of a pair: \ud83d"


def deep() -> Any:
    """Nested."""
    value: Any = 1
    for _ in range(500):
        value = [value]
    return value


def endless() -> Any:
    """Nested in itself."""
    value: list[Any] = []
    value.append(value)
    return value


def wide() -> dict[str, int]:
    """Many members."""
    return {f"{n}": n for n in range(60_000)}


def nan() -> float:
    """No number."""
    return math.nan


def infinite() -> dict[str, float]:
    """Too much of a number."""
    return {"n": 1e308 * 10}


def other() -> int:
    """Another type."""
    return "12"  # type: ignore[return-value]


def strange() -> Any:
    """No JSON."""
    return threading.Lock()


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


class Last(BaseException):
    """No Exception at all."""


def mute() -> str:
    """An exception that says nothing."""
    raise Mute


def loud() -> str:
    """An exception that says too much."""
    raise ValueError("\ud83d" + "x" * 50_000_000)


def last() -> str:
    """A BaseException."""
    raise Last("the last")


def leaves() -> str:
    """SystemExit."""
    raise SystemExit(3)


def generator() -> str:
    """GeneratorExit."""
    raise GeneratorExit


def declares() -> str:
    """A failure that is none."""
    failure = us.Failure("never", 5, "\ud83d", after=math.nan)  # type: ignore[arg-type]
    raise us.Failed(failure)


CODES = {
    huge: "result_too_large",
    surrogate: "schema_drift",
    deep: "schema_drift",
    endless: "schema_drift",
    wide: "result_too_large",
    nan: "schema_drift",
    infinite: "schema_drift",
    other: "schema_drift",
    strange: "schema_drift",
    mute: "crashed",
    loud: "crashed",
    last: "crashed",
    leaves: "crashed",
    generator: "crashed",
    declares: "5",
}
