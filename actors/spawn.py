"""Starting an actor now: at which address a definition or template and a key come together.

An address needs no making: whoever is written to begins. To spawn is to begin one before it is written to, and to be told that
it has begun. It is idempotent, as addresses are: who has begun stays as it is.
"""

from __future__ import annotations

from msgspec import Struct

from ..protocols.errors import DefinitionError
from ..protocols.ids import Address, address
from .registry import Directory
from .where import Where


class Place(Struct, frozen=True):
    """A template cut at its holes: ``n`` keys go between ``n + 1`` parts."""

    parts: tuple[str, ...]

    def at(self, keys: tuple[str, ...]) -> Address:
        """The address. Raises DefinitionError for another number of keys, ValueError for one that is no segment."""
        if len(keys) != len(self.parts) - 1:
            template = "{}".join(self.parts)
            raise DefinitionError(
                f"spawn: {template!r} takes {len(self.parts) - 1} keys, not {len(keys)}",
                hint="give one for each hole, as a tuple",
            )
        for key in keys:
            if not isinstance(key, str):
                raise TypeError(f"spawn: {key!r} is no key: give text, or a tuple of texts for several holes")
            if "/" in key:
                raise ValueError(f"{key!r} is no key: '/' separates segments")
        return address("".join(part + key for part, key in zip(self.parts, (*keys, ""), strict=True)))


def place(directory: Directory | None, where: Where) -> Place:
    """Where a definition is mounted, or the template as given.

    Raises:
        DefinitionError: it is mounted nowhere, or at several templates.
    """
    if not isinstance(where, str):
        mounts = directory.mounts() if directory is not None else ()
        found = [mount.template for mount in mounts if _is_of(mount.actor, where)]
        name = where.__name__ if isinstance(where, type) else type(where).__name__
        if len(found) != 1:
            at = f"at {', '.join(found)}" if found else "nowhere here"
            raise DefinitionError(f"spawn: {name} is mounted {at}", hint="name the template")
        where = found[0]
    parts = [""]
    for number, segment in enumerate(where.split("/")):
        slash = "/" if number else ""
        if segment.startswith("{"):
            parts[-1] += slash
            parts.append("")
        else:
            parts[-1] += slash + segment
    return Place(tuple(parts))


def _is_of(actor: object, definition: object) -> bool:
    """Whether it is this very object, or of this very class."""
    return definition in (actor, type(actor))


def keys(key: str | tuple[str, ...]) -> tuple[str, ...]:
    """One key, several, or (``""``) none."""
    return key if isinstance(key, tuple) else (key,) if key else ()


def covered(directory: Directory | None, where: Where, key: str | tuple[str, ...]) -> Address:
    """The address, if something is mounted there. Raises DefinitionError, ValueError."""
    to = place(directory, where).at(keys(key))
    if directory is not None and directory.find(to) is None:
        raise DefinitionError(f"spawn: nothing is mounted at {to!r}", hint=f"mounted: {directory.named()}")
    return to
