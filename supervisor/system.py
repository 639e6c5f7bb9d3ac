"""``us.System``: definitions, a journal, and everything running, inside your own event loop.

    async with us.System(desk, journal="desk.db") as system:
        result = await system.run(desk, "Brief me on tides", id="brief-42")

No signal handlers are taken and no tasks are left behind. The same id gives the recorded answer, or goes on where the journal ends.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import anyio
from anyio.abc import TaskGroup

from ..actors.agent import Agent
from ..actors.kernel import Kernel
from ..actors.residents import IDLE, IN_MEMORY
from ..protocols import given, ids
from ..protocols.breakers import Breaker
from ..protocols.budget import Budget, Price, Spending
from ..protocols.codec import roundtrip
from ..protocols.envelope import Context, Envelope
from ..protocols.errors import SystemStopped, UnderstudyError
from ..protocols.ids import Address, segment
from ..protocols.journal import MAX_TAG, Opened
from ..protocols.model import Model
from ..protocols.plans import Plan
from ..protocols.rates import Rate
from ..protocols.tasks import Result, Task
from ..tools.models.prices import load
from ..tools.perform import Performer
from . import options
from .answering import Answering
from .breaking import Breaking
from .calendar import CronCalendar
from .calling import Calling
from .conflicts.entering import Entering
from .gating import gate_of
from .inbox import inbox
from .journal.connect import Durability
from .journal.reader import read_only
from .journal.sqlite import SqliteJournal
from .journal.writer import AsyncJournal
from .results import RunResult
from .retaining import Retaining
from .shell import Shell, system_random
from .supervision.definitions import Supervisor
from .supervision.tree import Definition, Tree
from .team.accepting import acceptable
from .unopened import not_open
from .viewing import Viewing
from .waiter import Waiter
from .watchdog import LIMIT
from .watchers import Watchers
from .worker import Worker

if TYPE_CHECKING:
    from .control import Control, Facts

T = TypeVar("T")

Runnable = Agent[Any] | Worker[Any] | Supervisor


class System(Calling, Answering, Breaking, Viewing, Retaining):
    """A running team.

    Attributes:
        definitions, settings: what it was made with; another life is another system made with the same.

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
        rates: how fast tools and models may be used, by name; of all that this journal runs together, over restarts.
        breakers: when they are left alone because they fail, by name; None for one that never is. What is not named has
            ``us.Breaker()``, tools of class ``once`` and ``reconcilable`` none.
        spending: what may be spent in a day, by a user and the like, over all runs: ``[us.Spending(per="user", every="day", usd=5.0)]``.
        prices: of models that the price lists (extra ``prices``) do not know, or that you know better, by name.
        shadow: calls that do more than look are simulated, not made: of all tools (True), or of those named (``["pay"]``).
            ``Tool.simulate`` says what such a call gives; models are really asked.

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
        rates: Mapping[str, Rate] | None = None, breakers: Mapping[str, Breaker | None] | None = None,
        spending: Sequence[Spending] = (), prices: Mapping[str, Price] | None = None,
        shadow: bool | Sequence[str] = False,
    ) -> None:  # fmt: skip
        options.limit("watchdog", watchdog)
        options.seconds("idle", idle)
        options.seconds("drain", drain)
        options.number("in_memory", in_memory)
        options.file(journal)
        options.others(durability, model, target, control, on_stop)
        self.definitions = definitions
        self.settings: Mapping[str, Any] = {
            "journal": journal, "durability": durability, "model": model, "target": target, "drain": drain,
            "control": control, "on_stop": on_stop, "idle": idle, "in_memory": in_memory, "watchdog": watchdog,
            "rates": rates, "breakers": breakers, "spending": spending, "prices": prices, "shadow": shadow,
        }  # fmt: skip
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
        self._gate = gate_of(self.tree, rates, breakers, spending, prices, shadow=shadow)
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
    def begun(self) -> bool:
        """Whether it was opened: it is, or has been and will not be again."""
        return self._tasks is not None

    @property
    def shadow(self) -> str:
        """Whose calls are simulated: ``all``, names of tools, or empty for nobody's."""
        return self._gate.shadow

    @property
    def opened(self) -> Opened:
        """What the journal said of itself when it was opened."""
        if self._shell.opened is None:
            raise not_open()
        return self._shell.opened

    # -- work ---------------------------------------------------------------------------------------------------

    @overload
    async def run(
        self, who: Agent[T] | Worker[T], task: str | Task, *, id: str | None = None, timeout: float | None = None,
        budget: Budget | None = None,
    ) -> RunResult[T]: ...  # fmt: skip
    @overload
    async def run(
        self, who: Supervisor, task: str | Task | Plan, *, id: str | None = None, timeout: float | None = None,
        budget: Budget | None = None,
    ) -> RunResult[Any]: ...  # fmt: skip
    async def run(
        self, who: Runnable, task: str | Task | Plan, *, id: str | None = None, timeout: float | None = None,
        budget: Budget | None = None,
    ) -> RunResult[Any]:  # fmt: skip
        """Run a task to its end, or to where only people can help.

        Args:
            who: an agent, worker or supervisor of this system.
            task: what to do; a team also takes a ``us.Plan``.
            id: names the run. The same id and task again: it goes on, or the recorded answer is given.
            timeout: seconds to wait for it; the run itself goes on.
            budget: what may be spent on it, in place of the task's own.

        Raises:
            AskFailed: nothing is mounted there (``no_such_actor``), the id was used for another task (``other_payload``), the run
                was stopped, or the time is over (``timeout``).
            MissingKey, MissingExtra: a new run would find no model that it can ask.
            DefinitionError: the team does not take this plan, or the worker cannot do what the task needs; it says why.
            ValueError, TypeError: the id is no text, ``timeout`` no time, or ``who`` nobody who runs.
        """
        if not isinstance(who, (Agent, Worker, Supervisor)):
            raise TypeError(
                f"run: {who!r} is no us.Agent, us.Worker or us.Supervisor; a plain actor is asked: system.ask(address, …)"
            )
        if not isinstance(task, (str, Task, Plan)):
            raise TypeError(f"run: {task!r} is no task: give text, a us.Task or, to a team, a us.Plan")
        task = acceptable(who, task, budget)
        timeout = given.patience(timeout)
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
            TypeError: it is no task.
        """
        if not isinstance(task, Task):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers have no type checker
            raise TypeError(f"submit: {task!r} is no task: give a us.Task")
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

    def _kernel(self, opened: Opened, flying: dict[str, int]) -> Kernel:
        note = {"pid": str(os.getpid()), "target": self._target, "model": self._model}
        if self.shadow:
            note["shadow"] = self.shadow
        now = self._shell.clock.now()
        kernel = Kernel(
            self.tree.directory, self._gate, opened, rng=system_random(), now=now, note=note, flying=flying,
            idle=self._idle, in_memory=self._in_memory, calendar=CronCalendar(), watch=self._shell.watch,
        )  # fmt: skip
        kernel.memory.clock = self._shell.clock.now
        return kernel

    def _task(self, to: str, task: Task, name: str) -> tuple[Address, Envelope, Waiter]:
        if task.budget is not None and task.budget.usd is not None:
            load()
        run = self._owned(f"{to}/{segment(ids.key(name))}", f"no agent and no supervisor {to!r} runs here")
        context = Context(user=task.user, tenant=task.tenant, session=task.session, tags=task.tags)
        roundtrip(context, Context, MAX_TAG)
        return run, *self._request(run, task, key=name, context=context, watch=run)
