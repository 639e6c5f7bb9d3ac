"""Reading what older code wrote: an old version of a message or event is lifted, version by version, on plain data.

    def cents(data: dict[str, Any]) -> dict[str, Any]:              # version 1 -> 2
        return {"cents": data["euros"] * 100}

    class Deposited(us.Event, version=2, upcasters={1: cents}, was=("deposit",)):
        cents: int

``upcasters`` has one function for every older version, so a chain has no gap; ``was`` are the wire names it had before.
Each function gets the JSON as Python's own types and gives the next version's. It must be pure, like ``applies``: it runs
again with every replay. What is stored is never rewritten. States have no upcasters: they are folds, and folded anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .codec import decode, encode
from .errors import DefinitionError, Unreadable

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""From the JSON object of one version to that of the next."""


def checked(
    name: str, version: int, upcasters: Mapping[int, Upcaster] | None, was: tuple[str, ...]
) -> dict[int, Upcaster]:
    """The chain of a class. Raises DefinitionError for one with a gap, and for a version or an old name that is none."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise DefinitionError(f"{name}: version={version!r} must be a whole number from 1 on")
    if not isinstance(was, tuple) or not all(isinstance(old, str) and old for old in was):
        raise DefinitionError(f"{name}: was={was!r} must be a tuple of wire names", hint='was=("old.name",)')
    chain = dict(upcasters or {})
    if chain and sorted(chain) != list(range(1, version)):
        missing = sorted(set(range(1, version)) - set(chain))
        what = f"there is none for version {missing[0]}" if missing else f"{max(chain)} is not older than it"
        raise DefinitionError(
            f"{name} is version {version} and has upcasters for {sorted(chain)}: {what}",
            hint="give one function for each older version, {1: to_2, 2: to_3, …}",
        )
    for step, upcaster in chain.items():
        if not callable(upcaster):
            raise DefinitionError(f"{name}: the upcaster of version {step} is no function but {upcaster!r}")
    return chain


def lift(
    data: msgspec.Raw, form: Any, version: int
) -> Any:  # form is a message or event class, the result one of its objects
    """What ``version`` of ``form`` left, as an object of this one.

    Raises:
        Unreadable: nothing leads from that version to this one, or an upcaster gave no JSON object.
        msgspec.ValidationError: what came out does not fit the class.
    """
    known: int = form.__version__
    if version == known:
        return decode(data, form)
    chain: dict[int, Upcaster] = form.__upcasters__
    if version not in chain:
        what = f"{form.__wire__!r} version {version} cannot be read: this code knows version {known}"
        hint = f"use the code that wrote it, or give {form.__name__} upcasters from version {version} on"
        raise Unreadable(what, hint="use the code that wrote it, or newer" if version > known else hint)
    plain: dict[str, Any] = msgspec.json.decode(data)
    for step in range(version, known):
        lifted: object = chain[step](plain)
        if not isinstance(lifted, dict):
            what = f"the upcaster of {form.__wire__!r} version {step} gave {type(lifted).__name__}, not a JSON object"
            raise Unreadable(what, hint="an upcaster returns a dict")
        plain = lifted
    return decode(encode(plain), form)


def liftable(form: Any, version: int) -> bool:  # form is a message or event class
    """Whether that version leads to this one."""
    return version == form.__version__ or version in form.__upcasters__
