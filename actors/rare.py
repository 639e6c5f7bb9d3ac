"""What few turns make, in a struct of its own: one look at ``Turn.made`` tells whether a turn is like most."""

from __future__ import annotations

from typing import Any, Generic, Protocol, Self, TypeVar, cast, overload

import msgspec

from ..protocols.effects import Effect
from ..protocols.envelope import ReplyTo
from ..protocols.failures import Failure
from ..protocols.journal import Timer
from ..protocols.lifecycle import Life

T = TypeVar("T")


class Rare(msgspec.Struct):
    """What few turns make.

    Attributes:
        effects: intended.
        timers: set.
        dropped: ids of timers that are closed.
        askers: requests left open, by the id of their mail.
        answered: ids of such requests of earlier turns that this one answered.
        changes: effects of earlier turns that this one takes back.
        started: the ``Started`` handler has run in it.
        finished: the actor ends with it.
        notes: what the row will say about mail, by the fields of ``Post``; None for nothing.
        life: what the actor's life is after it, where an order or a failure of its own changes that.
        ended_by: why that is its end.
        budgeted: it took a task for which the run was given a budget: its context is that of all that the run will do.
    """

    effects: list[Effect] = []
    timers: list[Timer] = []
    dropped: list[str] = []
    askers: dict[str, ReplyTo] = {}
    answered: list[str] = []
    changes: tuple[Effect, ...] = ()
    started: bool = False
    finished: bool = False
    notes: dict[str, Any] | None = None
    life: Life | None = None
    ended_by: Failure | None = None
    budgeted: bool = False


class HasRare(Protocol):
    """A turn."""

    made: Rare | None
    """None as long as it has made nothing of this."""

    @property
    def rare(self) -> Rare:
        """Made when it is asked for."""
        ...


class Seldom(Generic[T]):
    """An attribute of a turn that stands in its ``Rare``, under the same name. ``default``: its value where there is none."""

    def __init__(self, default: T) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, turn: None, owner: type) -> Self: ...
    @overload
    def __get__(self, turn: HasRare, owner: type) -> T: ...
    def __get__(self, turn: HasRare | None, owner: type) -> T | Self:
        if turn is None:
            return self
        return self._default if turn.made is None else cast("T", getattr(turn.made, self._name))

    def __set__(self, turn: HasRare, value: T) -> None:
        setattr(turn.rare, self._name, value)
