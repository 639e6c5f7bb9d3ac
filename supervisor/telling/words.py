"""Values, failures and times in a few words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from ...protocols.effects import Effect
from ...protocols.failures import Failure
from ...protocols.ids import Address


def within(address: str, run: Address) -> bool:
    return address == run or address.startswith(run + "/")


def long(seconds: float) -> str:
    """A length of time as people say it."""
    for unit, name in ((86_400.0, "days"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.2g} {name}"
    return f"{seconds:.2g} s"


def as_called(effect: Effect) -> str:
    values = msgspec.json.decode(effect.args, type=dict[str, Raw])
    return f"{effect.name}({', '.join(f'{name}={bytes(value).decode()}' for name, value in values.items())})"


def in_words(failure: Failure | None) -> str:
    if failure is None:
        return "no reason given"
    causes: Sequence[Failure] = failure.chain()[1:]
    below = "".join(f" < {cause.message}" for cause in causes if cause.message not in failure.message)
    return f"{failure.message}{below}"


def in_short(value: Raw | str, most: int = 400) -> str:
    text = " ".join((value if isinstance(value, str) else bytes(value).decode()).split())
    return text if len(text) <= most else text[: most - 3] + "..."
