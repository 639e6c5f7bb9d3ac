"""The performing half of the gate: one attempt at one effect, with its timeout, and what it came to.

    look up -> reconcile (where it may have happened already) -> run under the timeout -> check the result -> Attempt

Retries are not made here: the deciding half makes them, and they stand in the journal. Plain functions run in a thread; a
timeout does not stop a thread, so what it comes to later is handed to ``on_late`` and settles the doubt. As long as it runs,
no other attempt at the same effect begins, unless the tool only reads.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from ..protocols.bounds import check
from ..protocols.codec import decode, encode, roundtrip
from ..protocols.effects import CALL, Attempt, Effect
from ..protocols.errors import Failed, NotStorable
from ..protocols.failures import Failure, interruption, leaves, of_exception, said, text_of
from ..protocols.journal import MAX_MESSAGE
from ..protocols.leases import Lease
from ..protocols.model import Model, ModelMessage, ModelReply, ModelRequest, ToolOffer
from ..protocols.secrets import hidden, is_hiding, of_attempt, without_secrets
from ..protocols.tool import Call
from ..protocols.watch import Blocked, Watch
from .attempting import Attempting, Leak
from .patience import OnDelta, OnLate, Patience
from .pretending import as_begun
from .steps import Steps
from .tasks import in_task
from .threads import in_thread
from .tool import LeaseRule, NotDone, Tool

if TYPE_CHECKING:
    from .process import Ended

MAX_RAW = 8_000_000
"""Bytes of what a transformer takes, as JSON."""

AT_ONCE = 64
"""Attempts under way at a time; further ones wait for a place. Threads given up on hold none."""

Enter = Callable[[Effect, LeaseRule], Awaitable[Lease | Failure]]
"""Whether an attempt may begin that works on a resource: the lease under which it is made, or why not."""


class Performer:
    """Tools and models of all agents, by agent and name."""

    def __init__(
        self, tools: Mapping[str, Mapping[str, Tool[..., Any]]], models: Mapping[str, Mapping[str, Model]]
    ) -> None:
        self._tools = tools
        self._models = models
        self.patience = Patience()
        self.enter: Enter | None = None
        """Set by the system; where nobody gives leases, no call that needs one begins."""
        self.leaks: dict[tuple[str, int], Leak] = {}
        """Calls that were given up on and go on, by effect and attempt."""
        self.on_leak: Callable[[Leak], None] = _not_told_of
        self.watch = Watch()
        """Where steps of coroutines are noted."""
        self._places: anyio.CapacityLimiter | None = None

    async def perform(
        self, effect: Effect, request: ModelRequest | None, on_delta: OnDelta, on_late: OnLate
    ) -> Attempt:
        """One attempt. Never raises, except when it is cancelled from outside. What comes of it holds no secret (``protocols.secrets``).

        Args:
            effect: which, with its attempt number.
            request: what the model is asked, for a ``think``.
            on_delta: told pieces of a model's text as they arrive, and what a tool says with its heartbeats; provisional.
            on_late: told what a thread came to that had timed out.
        """
        if request is not None:
            request = without(request)
        attempt = await self._perform(
            effect, request, lambda text: on_delta(hidden(text)), lambda late: on_late(of_attempt(late))
        )
        return of_attempt(attempt)

    async def _perform(
        self, effect: Effect, request: ModelRequest | None, on_delta: OnDelta, on_late: OnLate
    ) -> Attempt:
        if effect.effect != "read" and any(id == effect.id for id, _ in self.leaks):
            return still_running(effect)  # a read may run beside itself: trying again is the cure for one that hangs
        fence = 0
        if effect.resource and not effect.simulated:  # before the clock runs, and before anything can have happened
            entered = await self._enter(effect)
            if isinstance(entered, Failure):
                return not_entered(effect, entered)
            fence = entered.token
        if self._places is None:
            self._places = anyio.CapacityLimiter(AT_ONCE)
        attempting: Attempting | None = None
        try:
            async with self._places:  # before the clock runs: who waits for a place has not begun
                with self.patience.fail_after(effect.timeout) as scope:
                    attempting = Attempting(effect, scope, self.leaks, on_delta, on_late)
                    self.patience.more.add(attempting.hold)
                    if effect.verb == CALL:
                        return await self._call(effect, attempting, fence)
                    return await self._think(effect, request, on_delta, attempting)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise  # somebody cancels this attempt
            return Attempt(failure=_of(error, effect), unknown=True)  # something that it waited for was cancelled
        except TimeoutError:
            assert attempting is not None
            return attempting.gave_up()
        except Exception as error:  # noqa: BLE001 - not even a fault in here may end the node: nothing is known of the call
            return Attempt(failure=_of(error, effect), unknown=True)
        finally:
            if attempting is not None:
                attempting.close()
                self.patience.more.discard(attempting.hold)

    def _tool(self, effect: Effect) -> Tool[..., Any] | None:
        tool = self._tools.get(effect.agent, {}).get(effect.name)
        return None if tool is None else tool.at(effect.version)

    async def _think(
        self, effect: Effect, request: ModelRequest | None, on_delta: OnDelta, attempting: Attempting
    ) -> Attempt:
        model = self._models.get(effect.agent, {}).get(effect.name)
        if model is None or request is None:
            return _gone(effect, "model")
        steps = Steps(model.complete(request, on_delta), self.watch, effect)
        return await self._in_task(_run_model(steps, effect), f"model {effect.name}", attempting)

    async def _in_task(self, work: Coroutine[Any, Any, Attempt], name: str, attempting: Attempting) -> Attempt:
        left = lambda: self.on_leak(attempting.left("task"))  # noqa: E731 - one line of three like it
        return await in_task(work, name, attempting.late, left, attempting.gone)

    async def _call(self, effect: Effect, attempting: Attempting, fence: int) -> Attempt:
        tool = self._tool(effect)
        if tool is None:
            return _gone(effect, "tool")
        call = Call(
            effect.id,
            effect.key,
            effect.attempt - effect.before,
            effect.stream,
            effect.timeout,
            fence,
            attempting.beat,
            effect.at,
            effect.agent,
            effect.name,
        )
        runs = as_begun(tool, effect)
        if isinstance(runs, Attempt):
            return runs
        again = effect.attempt - effect.before > 1 or effect.interrupted
        if tool.spec.effect == "reconcilable" and again and not effect.simulated:
            found = await self._reconcile(tool, effect)
            if found is not None:
                return found
        try:
            values = runs.bind(tool.signature.read(effect.args), call)
        except ValueError as error:
            return Attempt(
                failure=Failure("change_arguments", "bad_arguments", f"{effect.name}: {error}", where=effect.name)
            )

        attempting.listen(None if effect.simulated else tool.spec.heartbeat)
        name = f"tool {effect.name}"
        if runs.isolation == "process":

            def left(how: str) -> None:
                self.on_leak(attempting.left(how))

            return await _apart(
                runs, effect, call, attempting, lambda: left("process"), lambda: left("thread")
            )  # the second: of its transformer
        if runs.isolation == "task":
            return await self._in_task(_run_async(runs, effect, values, self.watch), name, attempting)
        run = partial(run_plain, runs, effect, values)
        return await in_thread(run, name, attempting.late, lambda: self.on_leak(attempting.left("thread")))

    async def _enter(self, effect: Effect) -> Lease | Failure:
        tool = self._tool(effect)
        if tool is None or tool.lease is None or self.enter is None:
            why = f"{effect.name} was intended to work on {effect.resource} under a lease, and nobody gives one here"
            return Failure("abandon", "lease_unknown", why, where=effect.name)
        return await self.enter(effect, tool.lease)

    async def _reconcile(self, tool: Tool[..., Any], effect: Effect) -> Attempt | None:
        """What an earlier attempt came to, by its key; None where it did not happen."""
        if tool.reconciler is None:
            failure = Failure(
                "abandon",
                "no_reconcile",
                f"{effect.name} is reconcilable but has no reconcile function",
                where=effect.name,
            )
            return Attempt(failure=failure, unknown=True)
        name = f"reconcile {effect.name}"
        if inspect.iscoroutinefunction(
            tool.reconciler
        ):  # in a task of its own, as the tool: it may swallow its cancellation
            work = _reconcile_async(tool, effect, tool.reconciler(effect.key), self.watch)
            return await in_task(work, name, lambda _: None, _nobody, _nobody)
        return await in_thread(partial(reconcile_plain, tool, effect), name, lambda _: None)


def without(request: ModelRequest) -> ModelRequest:
    """A question to a model without secrets: they are for tools. The type of the answer is the program's own word, and stays as it is."""
    if not is_hiding():
        return request
    data = encode((request.messages, request.tools))
    clean = without_secrets(data)
    if clean is data:
        return request
    messages, tools = decode(clean, tuple[tuple[ModelMessage, ...], tuple[ToolOffer, ...]])
    return msgspec.structs.replace(request, messages=messages, tools=tools)


def not_entered(effect: Effect, why: Failure) -> Attempt:
    """What an attempt comes to that may not begin, because the lease of what it works on is not to be had. An earlier one may have
    happened all the same, unless it got no further either."""
    before = effect.failure.chain() if effect.failure is not None else ()
    unknown = effect.effect in ("idempotent", "reconcilable") and (
        effect.interrupted > 0 or any(not failure.code.startswith("lease_") for failure in before)
    )
    told = msgspec.structs.replace(why, where=effect.name, cause=effect.failure if unknown else why.cause)
    return Attempt(failure=told, unknown=unknown)


def still_running(effect: Effect) -> Attempt:
    """What an attempt comes to that is not made, because an earlier one was given up on and has not ended."""
    message = f"{effect.name}: an earlier attempt at it is still running"
    return Attempt(failure=Failure("retry_later", "still_running", message, where=effect.name), unknown=True)


def cancelled(effect: Effect) -> Attempt:
    """What an attempt comes to that was cut off because its actor had to end."""
    message = f"{effect.name}: cancelled, because {effect.stream} had to end"
    return Attempt(failure=Failure("retry_later", "cancelled", message, where=effect.name), unknown=True)


def _not_told_of(leak: Leak) -> None:
    """A performer of its own tells nobody."""


async def _apart(
    tool: Tool[..., Any],
    effect: Effect,
    call: Call,
    attempting: Attempting,
    on_left: Callable[[], None],
    on_slow: Callable[[], None],
) -> Attempt:
    """In a process of its own. It is gone when this ends, so nothing goes on: what is unknown is only how far it came."""
    from .process import in_process, job_of, told  # programs without such tools never load it

    assert tool.apart is not None

    def came(ended: Ended) -> Attempt:
        attempt = told(ended, effect.name)
        if attempt is not None:
            return attempt
        try:
            assert ended.answer is not None
            data = ended.answer.value
            check(data, "its result", most=_most(tool))
            return _result(tool, effect, decode(data, tool.gives))
        except (NotStorable, msgspec.DecodeError, UnicodeDecodeError) as error:
            return _drift(effect, error)

    args = bytes(effect.args)
    if tool.fixed:
        args = encode(tool.signature.read(args) | tool.fixed)
    job = job_of(tool.apart, effect.name, args, call, _most(tool))
    on_late: Callable[[Ended], None] = lambda ended: attempting.late(came(ended))  # noqa: E731 - typed, that is all
    name = f"tool {effect.name}"
    ended = await in_process(job, tool.environ, name, call.beat, on_late, on_left, call.log.pass_on)
    if tool.transformer is None:
        return came(ended)
    return await in_thread(partial(came, ended), name, attempting.late, on_slow)  # people's code: not in the loop


async def _run_async(tool: Tool[..., Any], effect: Effect, values: dict[str, Any], watch: Watch) -> Attempt:
    async def with_transformer() -> Attempt:
        return _result(tool, effect, await tool.function(**values))

    try:
        if tool.transformer is not None:  # it may block the loop, too
            return await Steps(with_transformer(), watch, effect)
        return _result(tool, effect, await Steps(tool.function(**values), watch, effect))
    except BaseException as error:  # noqa: BLE001 - whatever it was, it becomes a failure that somebody is told
        _must_rise(error)
        return _crash(error, effect)


async def _run_model(steps: Steps[ModelReply], effect: Effect) -> Attempt:
    try:
        data = without_secrets(encode(await steps))
        if len(data) <= MAX_MESSAGE:
            return Attempt(value=data)
        message = f"{effect.name} answered with {len(data):,} bytes, more than {MAX_MESSAGE:,}"
        return Attempt(failure=Failure("abandon", "result_too_large", message, where=effect.name))
    except Failed as error:
        return Attempt(failure=_at(error.failure, effect.name))
    except BaseException as error:  # noqa: BLE001 - whatever it was, it becomes a failure that somebody is told
        _must_rise(error)
        return Attempt(failure=_of(error, effect))


def _must_rise(error: BaseException) -> None:
    """Raise what is no failure of a call: its own cancellation, and Ctrl-C, also in a group. What it waited for being cancelled is one."""
    if (interrupt := interruption(error)) is not None:
        raise interrupt
    task = asyncio.current_task()
    if task is not None and task.cancelling() and all(isinstance(e, asyncio.CancelledError) for e in leaves(error)):
        raise asyncio.CancelledError from error


def run_plain(tool: Tool[..., Any], effect: Effect, values: dict[str, Any]) -> Attempt:
    """Call a plain function here and now, and give what it came to. The performer does so in a thread, a simulation in place."""
    try:
        result = tool.function(**values)
        if inspect.iscoroutine(result):  # an ``async def`` that is to run in a thread
            result = asyncio.run(result)
        return _result(tool, effect, result)
    except BaseException as error:  # noqa: BLE001 - a tool may raise SystemExit; it must not end the thread pool
        return _crash(error, effect)


def reconcile_plain(
    tool: Tool[..., Any], effect: Effect, finish: Callable[[Coroutine[Any, Any, Any]], Any] | None = None
) -> Attempt | None:
    """Ask a plain reconcile function here and now; None where the call did not happen. ``finish``: runs the coroutine of one that is
    none."""
    assert tool.reconciler is not None
    try:
        found = tool.reconciler(effect.key)
        return _found(tool, effect, finish(found) if finish is not None and inspect.iscoroutine(found) else found)
    except BaseException as error:  # noqa: BLE001 - whatever it was, it becomes a failure that somebody is told
        return _not_told(error, effect)


async def _reconcile_async(
    tool: Tool[..., Any], effect: Effect, look: Coroutine[Any, Any, object], watch: Watch
) -> Attempt | None:
    try:
        return _found(tool, effect, await Steps(look, watch, effect))
    except BaseException as error:  # noqa: BLE001 - whatever it was, it becomes a failure that somebody is told
        _must_rise(error)
        return _not_told(error, effect)


def _nobody() -> None:
    """A look that is given up on is nothing that may happen twice: the next attempt need not wait for its end."""


def _found(tool: Tool[..., Any], effect: Effect, found: object) -> Attempt | None:
    return None if isinstance(found, NotDone) else _result(tool, effect, found)


def _not_told(error: BaseException, effect: Effect) -> Attempt:
    """Reconcile itself failed: nothing is known, and it is asked again later."""
    return Attempt(failure=_of(error, effect, kind="retry_later"), unknown=True)


def _result(tool: Tool[..., Any], effect: Effect, value: object) -> Attempt:
    """A result as JSON, after checking that it is what the tool declares. It *has* happened: drift is not tried again."""
    most = _most(tool)
    try:
        data = encode(value)
        if len(data) <= most:
            roundtrip(value, tool.gives, most)
            clean = without_secrets(data)
            if clean is not data:  # what stands in the place of a secret is a text: it may not fit everywhere
                value, data = decode(clean, tool.gives), clean
    except (NotStorable, msgspec.ValidationError) as error:
        return _drift(effect, error)
    if len(data) > most:
        return _too_large(effect, len(data), most)
    return Attempt(value=data) if tool.transformer is None else _transformed(tool, effect, value)


def _transformed(tool: Tool[..., Any], effect: Effect, value: object) -> Attempt:
    assert tool.transformer is not None
    most = tool.spec.max_bytes
    try:
        made = tool.transformer(value)
        data = encode(made)
        if len(data) > most:
            return _too_large(effect, len(data), most)
        roundtrip(made, tool.returns, most)
        clean = without_secrets(data)
        if clean is not data:
            decode(clean, tool.returns)
    except (Blocked, KeyboardInterrupt):  # the watchdog, and whoever sits at the terminal
        raise
    except BaseException as error:  # noqa: BLE001 - the user's own code (``sys.exit`` included), and the call has happened
        message = (
            f"{effect.name} ran, but its result could not be transformed: {type(error).__name__}: {text_of(error)}"
        )
        return Attempt(failure=Failure("abandon", "transform_failed", message[:1_000], where=effect.name))
    return Attempt(value=clean)


def _most(tool: Tool[..., Any]) -> int:
    """Bytes that the function may give."""
    return tool.spec.max_bytes if tool.transformer is None else MAX_RAW


def _too_large(effect: Effect, size: int, most: int) -> Attempt:
    message = f"{effect.name} ran, but its result is {size:,} bytes, more than {most:,}"
    return Attempt(
        failure=Failure("change_arguments", "result_too_large", message, hint="ask for less", where=effect.name)
    )


def _drift(effect: Effect, error: Exception) -> Attempt:
    message = f"{effect.name} ran, but its result is not what it declares: {error}"
    return Attempt(failure=Failure("abandon", "schema_drift", message[:1_000], where=effect.name))


def _crash(error: BaseException, effect: Effect) -> Attempt:
    if isinstance(error, Failed):  # the tool itself says that it did not happen, and what to do
        return Attempt(failure=_at(error.failure, effect.name))
    return Attempt(failure=_of(error, effect), unknown=True)


def _of(error: BaseException, effect: Effect, kind: str = "") -> Failure:
    """An undeclared exception. The network's are worth another try where the effect class allows it."""
    if isinstance(error, Blocked):
        return error.failure
    failure = of_exception(error, where=effect.name)
    passing = kind == "retry_later" or isinstance(error, (ConnectionError, TimeoutError))
    return msgspec.structs.replace(failure, kind="retry_later") if passing else failure


def _at(failure: Failure, name: str) -> Failure:
    return said(failure if failure.where else msgspec.structs.replace(failure, where=name))


def _gone(effect: Effect, what: str) -> Attempt:
    version = f" in version {effect.version}" if effect.version else ""
    message = f"this program has no {what} {effect.name!r}{version} for {effect.agent}"
    return Attempt(failure=Failure("abandon", f"no_such_{what}", message, where=effect.name))
