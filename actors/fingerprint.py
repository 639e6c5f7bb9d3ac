"""What code a snapshot was taken with, as a digest: of the types that it holds and of the functions that folded them.

A snapshot is believed only under the same digest, so code that would fold the rows to something else finds none. What is
not seen: functions that an ``@applies`` method calls. Where one of those changes, raise the version of the ``State``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any, cast

import msgspec

from ..protocols.codec import canonical, digest
from ..protocols.counters import Counters
from .actor import Actor, Behaviour
from .cell import Cell, Memory


def fingerprint(actor: Actor) -> str:
    """The digest for one definition. Worked out once for each class."""
    behaviour = actor.behaviour
    known = _known.get(behaviour)
    if known is None:
        known = _known[behaviour] = _fingerprint(behaviour)
    return known


_known: dict[Behaviour, str] = {}


def _fingerprint(behaviour: Behaviour) -> str:
    parts = [_form(behaviour.state), str(behaviour.state.__version__), _own()]
    for wire, (event, method) in sorted(behaviour.appliers.items()):
        parts += [wire, _form(event), str(event.__version__), _code(method)]
        parts += [_code(upcaster) for _, upcaster in sorted(event.__upcasters__.items())]
    return digest(*parts)


def _own() -> str:
    """The part that is ours: what is remembered besides the state, and how it is folded."""
    folding = (Cell, Memory, Counters)
    functions = [f for cls in folding for _, f in sorted(vars(cls).items()) if isinstance(f, FunctionType)]
    return digest(_form(Memory), *(_code(function) for function in functions))


def _form(form: Any) -> str:  # a type form
    """The shape of a type, with its defaults."""
    try:
        return canonical(msgspec.json.schema(form, schema_hook=_unknown)).decode()
    except (TypeError, ValueError, NameError):  # a type that has no schema: its fields, as they are written
        return repr([(f.name, str(f.type)) for f in msgspec.structs.fields(form)])


def _unknown(form: Any) -> dict[str, Any]:  # a type form
    return {"title": str(form)}


def _code(function: Callable[..., Any]) -> str:
    """What a function does, as far as its own bytecode says it."""
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return repr(type(function))
    defaults = getattr(function, "__defaults__", None)
    return digest(*_bytecode(code), *_constants(defaults or ()))


def _bytecode(code: CodeType) -> Iterable[bytes | str]:
    yield code.co_code
    yield " ".join(code.co_names)
    yield from _constants(code.co_consts)


def _constants(values: Iterable[object]) -> Iterable[bytes | str]:
    for value in values:
        if isinstance(value, CodeType):
            yield from _bytecode(value)
        elif isinstance(value, frozenset):  # its order is another in each process
            yield " ".join(sorted(map(repr, cast("frozenset[object]", value))))
        elif isinstance(value, tuple):
            yield from _constants(cast("tuple[object, ...]", value))
        elif isinstance(value, (str, bytes, int, float, complex, type(None), type(...))):
            yield repr(value)
        else:
            yield type(value).__qualname__  # its repr may hold an address in memory
