"""How a place is named to which an actor is spawned."""

from __future__ import annotations

from typing import Protocol


class Definition(Protocol):
    """What can be mounted: an ``Actor``, as the files that actors are made of may know it."""

    @property
    def behaviour(self) -> object:
        """Its methods, by what they are for."""
        ...

    @property
    def supervises(self) -> bool:
        """Whether it looks after others."""
        ...


Where = str | type[Definition] | Definition
"""A template or address, or what is mounted at one: its class or object."""
