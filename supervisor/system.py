"""``us.System``: definitions, a journal, and everything running, inside your own event loop.

    async with us.System(desk, journal="desk.db") as system:
        result = await system.run(desk, "Brief me on tides", id="brief-42")

No signal handlers are taken and no tasks are left behind. The same id gives the recorded answer, or goes on where the journal ends.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream
from msgspec import Raw

from ..actors.agent import Agent
from ..actors.asking import cancellation
from ..actors.cell import read_record
from ..actors.kernel import Kernel
from ..actors.registry import Directory
from ..actors.releases import Resolve, Verdict
from ..actors.residents import IDLE, IN_MEMORY
from ..actors.spawn import Where, covered
from ..protocols import ids
from ..protocols.approvals import Answer, Question
from ..protocols.codec import encode, roundtrip
from ..protocols.decisions import Decision
from ..protocols.envelope import Context, Envelope, ReplyTo
from ..protocols.errors import AskFailed, DefinitionError, JournalError, SystemStopped, UnderstudyError, UnknownItem
from ..protocols.failures import Failure
from ..protocols.ids import OUTSIDE, Address, address, segment
from ..protocols.journal import MAX_MESSAGE, MAX_TAG, ActorLine, Opened, Row
from ..protocols.lifecycle import Started
from ..protocols.mail import Resolution
from ..protocols.messages import Message, Request, answer_type, asked
from ..protocols.model import Model
from ..protocols.plans import Plan
from ..protocols.tasks import Result, Task
from ..tools.gate import Gate
from ..tools.perform import Performer
from . import options, stuck
from .calendar import CronCalendar
from .conflicts.entering import Entering
from .definitions import Supervisor
from .handle import SupervisorHandle
from .inbox import InboxItem, inbox
from .journal.connect import Durability
from .journal.reader import read_only
from .journal.sqlite import SqliteJournal
from .journal.writer import AsyncJournal
from .overview import IDLE as SHOWN
from .overview import TreeNode, overview
from .parked import FileLetters, Letters, ParkedMessage, edited, find, of_file, one_of_file, parked
from .results import RunResult, in_its_type, recorded
from .shell import Shell, system_random, unanswered
from .stats import Stats
from .stuck import Stuck
from .team.accepting import acceptable
from .team.events import TeamState
from .team.progress import Progress, apply, progress
from .tree import Definition, Tree
from .unopened import not_open
from .verdicts import acts, too_late, verdict
from .waiter import Waiter
from .watchdog import LIMIT
from .watchers import Delta, Watchers
from .worker import Worker

if TYPE_CHECKING:
    from .control import Control, Facts

T = TypeVar("T")
R = TypeVar("R")

Runnable = Agent[Any] | Worker[Any] | Supervisor


class System:
    """A running team.

    Args:
        definitions: agents, supervisors and ``us.Child`` specs.
        journal: path of the SQLite file; None keeps everything in memory.
        durability: what an acknowledged row survives: ``power_loss`` or ``process_crash``.
        model: replaces every agent's model.
        target: how the definitions can be imported, ``module:name``; kept in the journal for replay.
        drain: seconds that effects under way get to end when the system closes.
        control: listen on the journal's control socket, so that ``understudy inbox``, ``approve`` and ``show`` work while
            this process owns the journal. Only its user may open it; without a journal file there is none.
        on_stop: called when somebody asks this process to stop (``understudy stop``); without it that is refused, because
            whoever embeds a system decides when it ends.
        idle: seconds without mail after which an actor leaves memory; it comes back with its next message.
        in_memory: actors in memory above which idle ones leave at once, the least recently used first. At twice as many,
            messages from outside to others wait until there is room. Actors whose mail waits for a decision (suspended, stashed)
            stay, and do not count.
        watchdog: seconds that one turn (or a rule, an ``@applies``, whatever holds the event loop) may take. A thread then names
            it, shows its stack and breaks it off, and its message has failed (``blocked``). None: nobody looks, as a
            debugger may want it; time limits then run on while the loop is blocked.

    Raises:
        DefinitionError: one of these is of no use; it says which.

    Raises (on entering):
        JournalHeld, JournalNewer, JournalReadOnly, JournalDamaged, JournalFull: see there.
    """

    def __init__(
        self, *definitions: Definition, journal: str | os.PathLike[str] | None = None, durability: Durability = "power_loss",
        model: str | Model | None = None, target: str = "", drain: float = 10.0,
        control: bool = True, on_stop: Callable[[], None] | None = None,
        idle: float = IDLE, in_memory: int = IN_MEMORY, watchdog: float | None = LIMIT,
    ) -> None:  # fmt: skip
        options.limit("watchdog", watchdog)
        options.seconds("idle", idle)
        options.seconds("drain", drain)
        options.number("in_memory", in_memory)
        options.file(journal)
        options.others(durability, model, target, control, on_stop)
        self._idle, self._in_memory = idle, in_memory
        self.path = Path(journal) if journal is not None else None
        self.tree = Tree(definitions, model=model)
        self._target, self._drain = target, drain
        self._model = model if isinstance(model, str) else ""
        path = self.path
        store = (
            AsyncJournal.in_memory()
            if path is None
            else AsyncJournal(lambda: SqliteJournal(path, durability=durability), read=lambda: read_only(path))
        )
        self._gate = Gate(self.tree.grants)
        performer = Performer(self.tree.tools, self.tree.models)
        performer.enter = Entering(self.tree.places, self.ask)
        self._watchers = Watchers()
        self._shell = Shell(
            store, self._kernel, performer, on_rows=self._watchers.rows, on_delta=self._watchers.delta, limit=watchdog
        )
        self._tasks: TaskGroup | None = None
        self._closed = False
        self._listens, self._on_stop = control and path is not None, on_stop
        self._control: Control | None = None
        self._calls = count()
        self._life = os.urandom(8).hex()

    # -- life ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise SystemStopped("this system was opened before", hint="make another us.System for another life")
        await self._shell.open()
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        tasks.start_soon(self._shell.pump, tasks)
        if self.path is not None and self._listens:
            from .control import Control  # sockets and streams are imported by those who use them

            self._control = Control(self, self.path)
            await self._control.open()
            tasks.start_soon(self._control.serve)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        with anyio.CancelScope(shield=True):
            await self._shell.drain(self._drain if error is None else min(self._drain, 1.0))
        self._tasks.cancel_scope.cancel()
        try:
            await self._tasks.__aexit__(None, None, None)
        finally:
            with anyio.CancelScope(shield=True):
                if self._control is not None:
                    await self._control.close()
                self._closed = True
                await self._shell.journal.close()
        failure = self._shell.failure
        if error is None and failure is not None and not isinstance(failure, SystemStopped):
            raise failure
        if error is None and failure is not None and failure.__cause__ is not None:
            raise failure

    @property
    def opened(self) -> Opened:
        """What the journal said of itself when it was opened."""
        if self._shell.opened is None:
            raise not_open()
        return self._shell.opened

    # -- work ---------------------------------------------------------------------------------------------------

    @overload
    async def run(
        self, who: Agent[T] | Worker[T], task: str | Task, *, id: str | None = None, timeout: float | None = None
    ) -> RunResult[T]: ...
    @overload
    async def run(
        self, who: Supervisor, task: str | Task | Plan, *, id: str | None = None, timeout: float | None = None
    ) -> RunResult[Any]: ...
    async def run(
        self, who: Runnable, task: str | Task | Plan, *, id: str | None = None, timeout: float | None = None
    ) -> RunResult[Any]:
        """Run a task to its end, or to where only people can help.

        Args:
            who: an agent, worker or supervisor of this system.
            task: what to do; a team also takes a ``us.Plan``.
            id: names the run. The same id and task again: it goes on, or the recorded answer is given.
            timeout: seconds to wait for it; the run itself goes on.

        Raises:
            AskFailed: nothing is mounted there (``no_such_actor``), the id was used for another task (``other_payload``), the run
                was stopped, or the time is over (``timeout``).
            MissingKey, MissingExtra: a new run would find no model that it can ask.
            DefinitionError: the team does not take this plan, or the worker cannot do what the task needs; it says why.
            ValueError, TypeError: the id is no text, or ``who`` is nobody who runs.
        """
        if not isinstance(who, (Agent, Worker, Supervisor)):
            raise TypeError(
                f"run: {who!r} is no us.Agent, us.Worker or us.Supervisor; a plain actor is asked: system.ask(address, …)"
            )
        if not isinstance(task, (str, Task, Plan)):
            raise TypeError(f"run: {task!r} is no task: give text, a us.Task or, to a team, a us.Plan")
        task = acceptable(who, task)
        options.patience(timeout)
        self._must_be_open()
        name = id if id is not None else uuid.uuid4().hex
        run, envelope, waiter = self._task(who.name, task, name)
        unready = self.tree.unready(who.name)
        if unready is not None and not await self.actors(run):
            raise unready  # before anything is written: the run can begin when the cause is mended
        await self._wait(envelope, waiter, timeout, gives_up=False)
        journal = str(self.path) if self.path is not None else ""
        form = object if isinstance(who, Supervisor) else who.output
        if waiter.asking:
            sets = self._shell.kernel.sets
            waiting = inbox(tuple(sets.effects[id] for id in sets.questions.get(run, ())))
            return RunResult(name, form, None, waiting, journal)
        return RunResult(name, form, self._value(waiter, Result), (), journal)

    async def submit(self, to: str, task: Task, *, id: str | None = None) -> str:
        """Hand in a task without waiting for what comes of it. Returns the address of its run when the task is durable.

        Args:
            to: name of an agent or supervisor of this system.
            task: what to do.
            id: names the run, as in ``run``.

        Raises:
            AskFailed: nobody of that name is here (``no_such_actor``), or the id was used for another task.
        """
        self._must_be_open()
        run, envelope, _ = self._task(to, task, id if id is not None else uuid.uuid4().hex)
        await self._shell.deliver(envelope, None).wait()
        return run

    async def rest(self) -> None:
        """Wait until nothing goes on by itself: every run, also those that another life began, is over or waits for people.

        Raises:
            SystemStopped, JournalError: it ended before.
        """
        self._must_be_open()
        await self._shell.rest().wait()

    async def ended(self) -> None:
        """Wait until the system has ended by itself, which it does only on a fault. Raises what ended it."""
        if self._tasks is None:
            raise not_open()
        await self._shell.ended()

    async def drain(self, seconds: float) -> None:
        """Take nothing more in, let what is under way end for so long, then stop. Leaving the system does it too; called
        again with fewer seconds it is over sooner."""
        options.seconds("drain", seconds)
        if self._tasks is None:
            raise not_open()
        await self._shell.drain(seconds)

    async def ask(
        self, to: str, request: Request[R], *, key: str = "", timeout: float | None = 60.0, priority: int = 0
    ) -> R:
        """Ask an actor; typed by the request.

        When the time is over, or the waiting is cancelled, what has not begun on behalf of it is not begun any more, down the chain of
        asks that it caused; a turn is never interrupted. An ask with a key is work that its caller comes back for: giving up
        on the answer cancels nothing.

        Args:
            to: its address.
            request: the message.
            key: idempotency key. The same key and message again gives the recorded answer.
            timeout: seconds to wait for the answer; None for ever.
            priority: higher ones are taken first.

        Raises:
            AskFailed: ``failure.code`` says why: rejected, unhandled, no_such_actor, crashed, stopped, overloaded, timeout …
        """
        if timeout is not None and timeout != 60.0:
            options.patience(timeout)
        door = self._shell.memory_door
        fleeting = door.memory.cells.get(to) or door.find(to)
        if fleeting is not None:
            _none_in_memory(to, priority)
            return await door.ask(fleeting, request, timeout, key)
        deadline = None if timeout is None or key else self._shell.clock.now() + timeout
        envelope, waiter = self._request(
            self._owned(to), request, key=key, context=Context(), deadline=deadline, priority=priority
        )
        await self._wait(envelope, waiter, timeout, gives_up=not key)
        answer: R = self._value(waiter, answer_type(type(request)))
        return answer

    async def tell(self, to: str, message: Message, *, key: str = "", priority: int = 0) -> None:
        """Tell an actor something. Returns when the message is durable, which takes until there is room where its mailbox is full; for a
        memory-only actor, when it is in its mailbox.

        Args:
            to: its address.
            message: what to say.
            key: idempotency key. The same key and message again is taken once.
            priority: higher ones are taken first.

        Raises:
            AskFailed: nothing is mounted there (``no_such_actor``), or its mailbox is full and refuses (``overloaded``).
        """
        door = self._shell.memory_door
        if key == "" and not priority and door.put(to, message):
            return
        fleeting = door.find(to)
        if fleeting is not None:
            _none_in_memory(to, priority)
            await door.tell(fleeting, message, key)
            return
        owned = self._owned(to)
        data = _admissible(message)
        token = self._token(to, key)
        cls = type(message)
        envelope = Envelope(
            f"outside:{token}", owned, cls.__wire__, data, key=key, version=cls.__version__, priority=_rank(priority)
        )
        await self._shell.deliver(envelope, None).wait()

    async def spawn(
        self,
        where: Where,
        key: str | tuple[str, ...] = "",
        message: Message | None = None,
        *,
        timeout: float | None = 60.0,
    ) -> Address:
        """Begin an actor before anybody writes to it. Returns its address when its ``Started`` turn is durable (of a memory-only actor:
        has run). One that has begun before stays as it is.

        Args:
            where: a template, an address, or an actor class that is mounted once.
            key: what goes into the template's hole; a tuple for several.
            message: the first one that it is told.
            timeout: seconds to wait; None for ever.

        Raises:
            DefinitionError: nothing is mounted there, or the class at several templates.
            AskFailed: its ``Started`` turn failed, it has ended, or the time is over.
        """
        options.patience(timeout)
        door = self._shell.memory_door
        fleeting = door.spawn(where, key) if type(key) is str else None
        if fleeting is not None and not fleeting.odd and message is None:
            return fleeting.address
        to = fleeting.address if fleeting is not None else covered(self.tree.directory, where, key)
        if fleeting is None and (fleeting := door.find(to)) is not None:
            door.memory.learn(where, to)
        if fleeting is not None:
            await door.begin(fleeting, timeout)
        else:
            envelope, waiter = self._request(to, Started(), key="", context=Context())
            await self._wait(envelope, waiter, timeout, gives_up=False)
            if waiter.reply is None or waiter.reply.failure is not None:
                raise unanswered(waiter.reply.failure if waiter.reply is not None else None)
        if message is not None:
            await self.tell(to, message)
        return to

    # -- people -------------------------------------------------------------------------------------------------

    def inbox(self) -> tuple[InboxItem, ...]:
        """What waits for people, oldest first."""
        return inbox(tuple(self._shell.kernel.sets.effects.values()))

    async def answer(
        self,
        item: str,
        decision: Decision,
        *,
        by: str = "somebody",
        reason: str = "",
        value: object = None,
        digest: str = "",
    ) -> None:
        """Answer an inbox item; returns when the answer is durable. The first one counts.

        Raises:
            UnknownItem: nothing is open under that id, or it was answered; by whom and how is said.
            WrongAnswer: the decision does not fit the question, a rejection has no reason, the digest differs, or the value is not
                what whoever asked can use: a result of another type, a changed message that does not fit its class. The item stays open.
            TooLarge, TooComplex: the value is.
        """
        await self.give(Answer(item, decision, by, reason, Raw(encode(value)), digest))

    async def give(self, answer: Answer) -> None:
        """``answer``, for one that is made already. Raises as ``answer``."""
        self._must_be_open()
        roundtrip(answer, Answer, MAX_MESSAGE)
        try:
            await self._shell.answer(await self._verdict(answer)).wait()
        except UnknownItem as error:
            raise await self._too_late(answer, error) from error

    async def _verdict(self, answer: Answer) -> Answer | Verdict:
        """The answer, with what it means for a message that was put aside."""
        effect = self._shell.kernel.effect(answer.item)
        if effect is None or effect.question is None or not acts(effect.question):
            return answer
        if self.path is None:
            return verdict(await self._letters(), effect.question, answer, self.tree.directory)
        return await anyio.to_thread.run_sync(_of_file, self.path, effect.question, answer, self.tree.directory)

    async def _too_late(self, answer: Answer, error: UnknownItem) -> UnknownItem:
        """Says who answered before, where the journal says so."""
        with suppress(JournalError):
            if self.path is None:
                return too_late(await self._letters(), answer.item) or error
            return await anyio.to_thread.run_sync(_ended, self.path, answer.item) or error
        return error

    async def approve(self, item: str, *, by: str = "somebody", reason: str = "") -> None:
        """Say yes to an approval, or ``try again`` to an escalation. Raises as ``answer``."""
        await self.answer(item, "approve", by=by, reason=reason)

    async def reject(self, item: str, reason: str, *, by: str = "somebody") -> None:
        """Say no. Raises as ``answer``."""
        await self.answer(item, "reject", by=by, reason=reason)

    async def parked(self) -> tuple[ParkedMessage, ...]:
        """Messages that were put aside and about which nobody has decided, oldest first."""
        if self.path is not None:
            return await anyio.to_thread.run_sync(of_file, self.path)
        return await anyio.to_thread.run_sync(parked, await self._letters())

    async def resend(self, id: str, message: object = None, *, by: str = "somebody", reason: str = "") -> None:
        """Send a parked message again; returns when that is durable. It is told, not asked: whoever asked was answered long ago.

        Args:
            id: of the ``ParkedMessage``.
            message: its new content, plain JSON or a message; None sends it as it was.
            by, reason: kept in the journal.

        Raises:
            UnknownItem: there is none of that id, or somebody decided about it before.
            WrongAnswer: nobody takes it there, or the new content does not fit the message's class.
        """
        mail = edited(await self._put_aside(id), message, self.tree.directory)
        await self._resolve(Resolution(int(id), "resend", by, reason), mail)

    async def drop(self, id: str, *, by: str = "somebody", reason: str = "") -> None:
        """Drop a parked message; returns when that is durable. Raises UnknownItem as ``resend``."""
        await self._put_aside(id)
        await self._resolve(Resolution(int(id), "drop", by, reason))

    # -- looking ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def watch(self, run: str = "") -> AsyncGenerator[MemoryObjectReceiveStream[Row | Delta]]:
        """Committed rows of a run (of everything, for an empty address) from now on, and provisional ``Delta``s of its models."""
        if run:
            address(run)
        self._must_be_open()
        async with self._watchers.watch(run) as stream:
            yield stream

    async def rows(self, actor: str, after: int = 0) -> tuple[Row, ...]:
        """The rows of one actor with seq > after."""
        self._must_be_open()
        return await self._shell.journal.stream(Address(actor), after)

    async def progress(self, run: str) -> Progress | None:
        """How far a run of a team is: steps done of all, what is under way, what waits and why. None where there is no such run, or it is
        none of a team."""
        state: TeamState | None = None
        ended = ""
        for row in await self.rows(run):
            record = read_record(row)
            for stored in record.events:
                if stored.wire.startswith("team."):
                    state = apply(state or TeamState(), stored)
            ended = next((recorded(r.value).status if r.failure is None else "failed" for r in record.replies), ended)
        sets = self._shell.kernel.sets
        effects = [sets.effects[id] for id in sets.of.get(Address(run), ())]
        return progress(state, effects, ended) if state is not None else None

    async def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """Where the actors at or below an address stand."""
        self._must_be_open()
        return await self._shell.journal.actors(prefix)

    def supervisor(self, name: str, *, timeout: float | None = 60.0) -> SupervisorHandle:
        """The children of a supervisor, to be started, stopped, restarted, deleted and looked at by name.

        Args:
            name: its address; ``root`` for what is mounted directly.
            timeout: seconds that each of these may take; None for ever.
        """
        options.patience(timeout)
        return SupervisorHandle(self, name, timeout)

    async def overview(self, *, idle: int = SHOWN) -> TreeNode:
        """Who keeps whom going, and how each stands, by the committed rows.

        Args:
            idle: how many runs and actors at templates of whom nothing is open are shown, of each supervisor; the others are counted.
        """
        self._must_be_open()
        journal, sets = self._shell.journal, self._shell.kernel.sets
        lines = await journal.actors("")
        rows = {line.address: await journal.stream(line.address, 0) for line in lines if "/" not in line.address}
        return overview(
            lines, lambda address: rows.get(address, ()), sets.mail.values(), sets.effects.values(),
            self._shell.clock.now(), self.tree.directory, idle=idle,
        )  # fmt: skip

    async def stuck(self) -> tuple[Stuck, ...]:
        """Unfinished actors that nothing will ever move again, and why: they have no mail, no timer and no open effect, nobody to be
        asked. Always empty, if nothing is wrong. What somebody outside has yet to say nobody can know: who waits for that is listed.

        Reads the working sets, and the rows of those who owe an answer; looks twice, so that nothing is named that is only on its way.
        """
        self._must_be_open()
        found = await self._stuck()
        if not found:
            return ()
        await anyio.sleep(0.05)
        return tuple(one for one in await self._stuck() if one in found)

    def stats(self) -> Stats:
        """What this life of the system has counted so far."""
        return self._shell.stats()

    # -- being asked from other processes -----------------------------------------------------------------------

    def facts(self) -> Facts:
        """Who this process is."""
        from .control import Facts

        return Facts(os.getpid(), self._target, self._model)

    def ask_to_stop(self) -> None:
        """Tell whoever runs this system that somebody wants it to end. Raises UnderstudyError where nobody is to be told."""
        if self._on_stop is None:
            raise UnderstudyError(
                f"process {os.getpid()} embeds this system and decides by itself when to stop",
                hint="killing it loses nothing: it carries on where the journal ends",
            )
        self._on_stop()

    # -- inside -------------------------------------------------------------------------------------------------

    async def _resolve(self, resolution: Resolution, mail: Envelope | None = None) -> None:
        roundtrip(resolution, Resolution, MAX_MESSAGE)
        await self._shell.resolve(Resolve(resolution, mail)).wait()

    async def _stuck(self) -> tuple[Stuck, ...]:
        if self.path is not None:
            picture = await anyio.to_thread.run_sync(stuck.of_file, self.path)
        else:
            journal = self._shell.journal
            rows = await journal.rows(limit=sys.maxsize)
            picture = stuck.of_rows(rows, await journal.actors(""))
        return stuck.stuck(stuck.of_kernel(self._shell.kernel, picture, self._shell.performing))

    async def _put_aside(self, id: str) -> ParkedMessage:
        self._must_be_open()
        if self.path is not None:
            return await anyio.to_thread.run_sync(one_of_file, self.path, id)
        return find(await self._letters(), id)

    def _must_be_open(self) -> None:
        if self._tasks is None:
            raise not_open()
        if self._closed:  # one that has failed can still be looked at
            raise SystemStopped("the system was closed", hint="make another us.System on the same journal to carry on")

    async def _letters(self) -> Letters:
        self._must_be_open()
        return Letters(await self._shell.journal.rows(limit=sys.maxsize))

    def _kernel(self, opened: Opened, flying: dict[str, int]) -> Kernel:
        note = {"pid": str(os.getpid()), "target": self._target, "model": self._model}
        now = self._shell.clock.now()
        kernel = Kernel(
            self.tree.directory, self._gate, opened, rng=system_random(), now=now, note=note, flying=flying,
            idle=self._idle, in_memory=self._in_memory, calendar=CronCalendar(), watch=self._shell.watch,
        )  # fmt: skip
        kernel.memory.clock = self._shell.clock.now
        return kernel

    def _task(self, to: str, task: Task, name: str) -> tuple[Address, Envelope, Waiter]:
        run = self._owned(f"{to}/{segment(ids.key(name))}", f"no agent and no supervisor {to!r} runs here")
        context = Context(user=task.user, tenant=task.tenant, session=task.session, tags=task.tags)
        roundtrip(context, Context, MAX_TAG)
        return run, *self._request(run, task, key=name, context=context, watch=run)

    def _owned(self, to: str, otherwise: str = "") -> Address:
        """An address that a definition owns. Anything else fails at the door, before it is written: a typo burns no id."""
        directory, found = self.tree.directory, address(to)
        if directory.find(found) is None:
            what, hint = otherwise or f"nothing is mounted at {to!r}", f"mounted: {directory.named()}"
            raise AskFailed(Failure("change_arguments", "no_such_actor", what, hint=hint, where=found))
        return found

    def _token(self, to: str, key: str) -> str:
        """Names an ask or tell for ever: by its key, otherwise by this life of the system and a number (a UUID costs 3 us)."""
        return f"{to}#{ids.key(key)}" if key != "" else f"{to}?{self._life}.{next(self._calls)}"

    def _request(
        self, to: Address, request: Message, *, key: str, context: Context, watch: Address = OUTSIDE,
        deadline: float | None = None, priority: int = 0,
    ) -> tuple[Envelope, Waiter]:  # fmt: skip
        data = _admissible(request)
        token, cls = self._token(to, key), type(request)
        back = ReplyTo(OUTSIDE, token, asked(cls), deadline=deadline, keyed=to if key else OUTSIDE)
        envelope = Envelope(
            f"outside:{token}", to, cls.__wire__, data,
            context=context, reply_to=back, key=key,
            version=cls.__version__, priority=_rank(priority),
        )  # fmt: skip
        return envelope, Waiter(watch, answer=True)

    async def _wait(self, envelope: Envelope, waiter: Waiter, timeout: float | None, *, gives_up: bool) -> None:
        assert envelope.reply_to is not None
        token, why = envelope.reply_to.token, ""
        try:
            if timeout is not None:
                self._shell.deadlines.add(timeout, waiter)
            await self._shell.deliver(envelope, waiter).wait()
        except TimeoutError:
            why = f"no answer from {envelope.to} within {timeout:g} s"
            raise unanswered(Failure("retry_later", "timeout", why)) from None
        except anyio.get_cancelled_exc_class():
            why = "the caller waits no more"
            raise
        finally:
            if timeout is not None:
                self._shell.deadlines.drop(timeout, waiter)
            self._shell.forget(token, waiter)
            if why and gives_up:
                self._shell.give_up(envelope, cancellation(envelope, why, uuid.uuid4().hex))

    def _value(self, waiter: Waiter, form: Any) -> Any:  # a type form and its value
        reply = waiter.reply
        if reply is None or reply.failure is not None:
            raise unanswered(reply.failure if reply is not None else None)
        return in_its_type(reply.value, form)


def _of_file(path: Path, question: Question, answer: Answer, directory: Directory) -> Answer | Verdict:
    with read_only(path) as reader:
        return verdict(FileLetters(reader), question, answer, directory)


def _ended(path: Path, item: str) -> UnknownItem | None:
    with read_only(path) as reader:
        return too_late(FileLetters(reader), item)


def _none_in_memory(to: str, priority: int) -> None:
    if priority:
        raise DefinitionError(f"{to} is memory-only (durable = False) and has no priorities")


def _rank(priority: int) -> int:
    if not isinstance(priority, int):
        raise TypeError(f"priority={priority!r} is no whole number")
    return priority


def _admissible(message: Message) -> Raw:
    """A message from outside as JSON. Raises NotStorable, TooLarge, TooComplex."""
    return roundtrip(message, type(message), MAX_MESSAGE)[0]
