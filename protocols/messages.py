"""What actors say and what they remember: messages, events, states.

All are frozen msgspec structs with a *wire name* (the class name unless ``wire=`` says otherwise) and a *version*
(1 unless ``version=`` says otherwise). The wire name is what stands in the journal, so a class may be renamed or
moved as long as it keeps its wire name, or names its old ones with ``was=``. Old versions are read through ``upcasters=``,
see ``upcasting``.

    class Deposit(us.Request[int]):            # answered with an int
        amount: int

    class Deposited(us.Event, wire="deposited", version=2):
        amount: int
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, dataclass_transform

import msgspec

from .upcasting import Upcaster, checked

R_co = TypeVar("R_co", covariant=True)


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class WireMeta(msgspec.StructMeta):
    """Freezes every subclass and gives it its wire name and version.

    The bases carry no ``frozen=True`` of their own: type checkers then take ``frozen_default`` from here for generic
    bases too (tried with mypy and pyright).
    """

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],  # a class body: anything
        *,
        wire: str | None = None,
        version: int = 1,
        upcasters: Mapping[int, Upcaster] | None = None,
        was: tuple[str, ...] = (),
        **options: Any,  # msgspec's own struct options
    ) -> WireMeta:
        options.setdefault("frozen", True)
        chain = checked(name, version, upcasters, was)
        cls = super().__new__(mcls, name, bases, namespace, **options)
        type.__setattr__(cls, "__wire__", wire or name)
        type.__setattr__(cls, "__version__", version)
        type.__setattr__(cls, "__upcasters__", chain)
        type.__setattr__(cls, "__was__", was)
        return cls


# Said again on the class: mypy looks at base classes before metaclasses, and would take msgspec.Struct's own word.
@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class _Wired(msgspec.Struct, metaclass=WireMeta):
    __wire__: ClassVar[str]
    __version__: ClassVar[int]
    __upcasters__: ClassVar[dict[int, Upcaster]]
    __was__: ClassVar[tuple[str, ...]]


class Message(_Wired):
    """Something said to an actor that needs no answer."""


class Request(Message, Generic[R_co]):
    """A message that is answered with an ``R``."""


class Event(_Wired):
    """Something that happened to an actor. Only events change its state."""


class State(_Wired):
    """What an actor remembers. Every field needs a default: an actor starts from ``State()``."""

    if TYPE_CHECKING:

        def evolve(self, **changes: Any) -> Self:  # values of any field of the subclass
            """A copy with some fields changed."""
            ...

    else:
        evolve = msgspec.Struct.__replace__  # in C: every event is applied with it, and it takes a fifth of the time


def asked(request: type[Message]) -> str:
    """What answers to this class of requests are known by."""
    return f"ask:{request.__wire__}"


def answer_type(request: type[Message]) -> Any:  # a type form such as int, list[str], a Struct or None
    """The ``R`` of a ``Request[R]``; ``None`` for a plain message."""
    return _answer_type(request)


@lru_cache(maxsize=4_096)  # every answer asks
def _answer_type(request: type[Message]) -> Any:
    for base in request.__mro__:
        for generic in base.__dict__.get("__orig_bases__", ()):
            if getattr(generic, "__origin__", None) is Request:
                return generic.__args__[0]
    return None
