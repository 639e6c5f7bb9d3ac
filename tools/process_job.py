"""What is said between a program and the process of a call, and the call itself on the process's side."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

import msgspec
from msgspec import Raw, Struct

from ..protocols.codec import encode, roundtrip
from ..protocols.effects import Retry
from ..protocols.errors import Failed, NotStorable
from ..protocols.failures import Failure, of_exception, said
from ..protocols.ids import Address
from ..protocols.tool import Call
from ..protocols.tool_log import send_to
from .tool import Tool


class Job(Struct, frozen=True):
    """A call for another process.

    Attributes:
        path: where modules are imported from.
        module, name: where the function is, and what it is called there.
        tool: the tool's name.
        arguments: as JSON.
        call: fields of what the function is handed where it takes a ``us.Call``.
        most: bytes its result may have.
        level: from which on what it logs is wanted.
    """

    path: list[str]
    module: str
    name: str
    tool: str
    arguments: Raw
    call: tuple[str, str, int, Address, float, int, float, str]
    most: int
    level: int


class Answered(Struct, frozen=True, omit_defaults=True):
    """What came of it. It is looked at again where it arrives: who is called here may write what it likes.

    Attributes:
        value: the result; null where there is none.
        failure: why there is none.
        unknown: with a failure: nobody knows whether it happened.
    """

    value: Raw = Raw(b"null")
    failure: Failure | None = None
    unknown: bool = False


def answer(
    request: bytes, enter: Callable[[], None], beat: Callable[[str], None], log: Callable[[bytes], None]
) -> bytes:
    """Do the call.

    Args:
        request: the ``Job`` as JSON.
        enter: called when nothing is left to do but to enter the function: from here on it may have acted.
        beat: takes its heartbeats.
        log: takes what it logs, each record a ``Line`` as JSON.
    """
    job = msgspec.json.decode(request, type=Job)
    send_to(lambda line: log(msgspec.json.encode(line)), job.level)
    try:
        called = _tool_of(job)
        values = called.bind(
            called.signature.read(job.arguments), Call(*job.call[:6], beat, *job.call[6:], tool=job.tool)
        )
    except ValueError as error:
        return _no(Failure("change_arguments", "bad_arguments", f"{job.tool}: {error}", where=job.tool))
    except BaseException as error:  # noqa: BLE001 - a module may raise anything; nothing has happened yet
        cause = of_exception(error, where=job.tool)
        message = f"{job.tool}: its process could not import {job.name} from {job.module}: {cause.message}"
        return _no(Failure("abandon", "not_importable", message[:1_000], where=job.tool, cause=cause))
    enter()
    try:
        result = called.function(**values)
        if inspect.iscoroutine(result):
            result = asyncio.run(result)
    except Failed as error:
        failure = error.failure
        return _no(said(failure if failure.where else msgspec.structs.replace(failure, where=job.tool)))
    except BaseException as error:  # noqa: BLE001 - whatever it was, it becomes a failure that somebody is told
        failure = of_exception(error, where=job.tool)
        if isinstance(error, (ConnectionError, TimeoutError)):
            failure = msgspec.structs.replace(failure, kind="retry_later")
        return _no(failure, unknown=True)
    return _yes(job, called, result)


def _yes(job: Job, called: Tool[..., Any], result: object) -> bytes:
    try:
        data = encode(result)
        if len(data) > job.most:
            message = f"{job.tool} ran, but its result is {len(data):,} bytes, more than {job.most:,}"
            failure = Failure("change_arguments", "result_too_large", message, hint="ask for less", where=job.tool)
            return _no(failure)
        roundtrip(result, called.gives, job.most)
    except (NotStorable, msgspec.ValidationError) as error:
        message = f"{job.tool} ran, but its result is not what it declares: {error}"
        return _no(Failure("abandon", "schema_drift", message[:1_000], where=job.tool))
    return msgspec.json.encode(Answered(Raw(data)))


def _no(failure: Failure, *, unknown: bool = False) -> bytes:
    return msgspec.json.encode(Answered(failure=failure, unknown=unknown))


def _tool_of(job: Job) -> Tool[..., Any]:
    """The tool under this name; or the function, where the tool has another name than its function."""
    found: Any = import_module(job.module)  # whatever stands there
    for part in job.name.split("."):
        found = getattr(found, part)
    if isinstance(found, Tool):
        return cast("Tool[..., Any]", found)
    return Tool(found, name=job.tool, effect="once", timeout=30.0, retry=Retry(), key_ttl=86_400.0, depth=1)
