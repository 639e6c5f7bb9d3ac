"""To JSON and back, and the proof that nothing changed on the way.

A turn sees exactly what is stored: before a row is queued, what it holds is decoded from its bytes in its types and
encoded again. NaN (encoded as null), a tuple under ``Any`` (comes back as a list), an int in a float field (comes
back as a float) or a wrong field type (the constructor takes it) would all be different after a restart; the first
three of these and every other difference are refused here, the int is handed on as the float that it will be.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from .bounds import SMALL, check
from .errors import NotStorable

T = TypeVar("T")

NULL = msgspec.Raw(b"null")
"""JSON null: how a stored ``Raw`` says that there is nothing (msgspec decodes no unions with ``Raw``)."""

_encode = msgspec.json.Encoder().encode
_canonical = msgspec.json.Encoder(order="deterministic")
_decoders: dict[Any, Callable[[bytes | msgspec.Raw], Any]] = {}


def encode(value: object) -> bytes:
    """JSON bytes. Raises NotStorable for what JSON or UTF-8 cannot hold (a lone surrogate, an unknown type)."""
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise _unstorable(value, error) from error


def _unstorable(value: object, why: Exception) -> NotStorable:
    return NotStorable(f"{type(value).__name__} cannot be stored: {why}")


def decode(data: bytes | msgspec.Raw, form: Any) -> Any:  # form is a type form, the result one of its values
    """A value of type ``form`` from JSON.

    Raises:
        msgspec.ValidationError: it does not fit, or is nested so deeply that it cannot be decoded.
        msgspec.DecodeError: it is no JSON.
    """
    try:
        return (_decoders.get(form) or decoder(form))(data)
    except RecursionError as error:
        raise msgspec.ValidationError("it is nested too deeply to be decoded") from error


def roundtrip(value: T, form: Any, most: int = 1_000_000) -> tuple[msgspec.Raw, T]:  # form is a type form
    """The JSON of a value and the value as it will come back from it.

    Args:
        value: what is to be stored.
        form: its type.
        most: bytes that it may have.

    Raises:
        NotStorable: it cannot be encoded, or comes back different.
        TooLarge, TooComplex: it is beyond the bounds (``bounds``); then it is not decoded at all.
    """
    try:
        data = _encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise _unstorable(value, error) from error
    if len(data) > SMALL:
        check(data, type(value).__name__, most=most)
    try:
        back = (_decoders.get(form) or decoder(form))(data)
    except msgspec.DecodeError as error:  # also a msgspec.Raw that is no JSON
        raise NotStorable(
            f"{type(value).__name__} does not come back from its JSON: {error}",
            hint="give the field the type of what you put into it",
        ) from error
    if back != value:
        raise NotStorable(
            f"{type(value).__name__} comes back from its JSON as {back!r}"[:500],
            hint="use types that JSON keeps: no NaN, no tuple or int key under Any",
        )
    return msgspec.Raw(data), back


def decoder(form: Any) -> Callable[[bytes | msgspec.Raw], Any]:  # form is a type form
    """``decode`` for one form."""
    known = _decoders.get(form)
    if known is None:
        known = _decoders[form] = msgspec.json.Decoder(form).decode
    return known


def canonical(value: object) -> bytes:
    """JSON with sorted keys: equal values have equal bytes. What digests and idempotency keys are made of."""
    try:
        return _canonical.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorable(f"{type(value).__name__} cannot be stored: {error}") from error


def digest(*parts: bytes | str) -> str:
    """32 hex characters over the parts and their borders."""
    said: list[bytes] = []
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        said += (len(data).to_bytes(8, "big"), data)
    return blake2b(b"".join(said), digest_size=16).hexdigest()
