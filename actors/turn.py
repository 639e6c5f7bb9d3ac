"""A turn: what a handler may do while it takes one message. Nothing here waits and nothing touches the world.

Everything a turn makes is encoded at once, and decoded back unless its types prove that it comes back as it is (``handover.stored``), so
what cannot be stored fails the turn where it was made.
If the handler returns, all of it becomes one row; if it raises, none of it does.
"""

from __future__ import annotations

from typing import TypeVar, cast, get_args

import msgspec

from ..protocols import given
from ..protocols.codec import digest
from ..protocols.failures import Failure, said
from ..protocols.handover import stored
from ..protocols.ids import Address
from ..protocols.journal import Missed, Schedule, StoredEvent, Timer
from ..protocols.lifecycle import Started
from ..protocols.messages import Event, Message, State
from ..protocols.provenance import values
from .derived import Derived
from .intending import Intending
from .where import Where

S = TypeVar("S", bound=State)
T = TypeVar("T")


class Turn(Intending[S]):
    """One turn of one actor.

    Attributes:
        state: the state so far, with the events emitted in this turn.
        now: journal time, seconds since the epoch; recorded.
        me: the actor's address.
        sender: who sent the message; ``""`` for outside.
        context: on whose behalf; inherited by everything this turn sends, labels of what was read included.
    """

    @property
    def random(self) -> Derived:
        """Random numbers derived from the journal's seed, this address and the turn's number: the same in replay."""
        if self._random is None:  # few turns draw, and the digest costs 1.7 us
            self._random = Derived(digest(self._frame.seed, self.me, str(self._frame.turns)))
        return self._random

    def trusted(self, value: T) -> T:
        """Say that a value is as good as one from a trusted source, because this code has looked at it: compared it with a list, found
        it in a record of its own. In calls and messages of this turn it has no label. Gives it back.

        Only code can say so; what a model says of a text changes nothing.
        """
        plain = msgspec.to_builtins(value)
        self._said = self._said | frozenset(values(plain))
        return value

    # -- what happened ------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> S:
        """Record that something happened; it is applied at once. Gives the new state.

        Raises:
            NotStorable: the event does not come back from its JSON as it is.
        """
        cls = type(event)
        data, event = stored(event)
        self.state = self._frame.apply(self.state, event)
        self.events.append(StoredEvent(cls.__wire__, data, cls.__version__))
        return self.state

    # -- others -------------------------------------------------------------------------------------------------

    def spawn(self, where: Where, key: str | tuple[str, ...] = "", message: Message | None = None) -> Address:
        """Begin an actor, so that its ``Started`` handler runs before anybody writes to it. One that has begun stays as it is.

        Args:
            where: a template, an address, or an actor class that is mounted once.
            key: what goes into the template's hole; a tuple for several.
            message: the first one that it is told.

        Returns its address. If it fails at that, its supervisor is told.

        Raises:
            DefinitionError: nothing is mounted there, or the class at several templates.
        """
        to = self._frame.place(where, key)
        self.tell(to, Started())
        if message is not None:
            self.tell(to, message)
        return to

    # -- time, life ---------------------------------------------------------------------------------------------

    def remind(
        self, message: Message, *, after: float | None = None, at: float | None = None, cron: str | None = None,
        tz: str = "UTC", missed: Missed = "once",
    ) -> str:  # fmt: skip
        """Send this actor a message later. Durable. Gives an id for ``forget``.

        Args:
            message: what.
            after: seconds from now.
            at: a journal time, seconds since the epoch; one that is over comes at once.
            cron: again and again, such as ``"*/5 * * * *"``: minute, hour, day of the month, month, day of the week (six fields:
                seconds first). Needs the extra ``cron``.
            tz: time zone of ``cron``, such as ``"Europe/Oslo"``. Where clocks are put forward, a time that does not exist comes at
                the next one that does; where they are put back, a time that comes twice counts once.
            missed: what becomes of ticks for which nobody was there, because the process was down or the clock jumped: ``once``,
                one comes late for all of them; ``all``, each comes late (the newest 100 at most); ``skip``, none does (up to 5
                seconds late still counts as in time).

        Raises:
            ValueError: not exactly one of ``after``, ``at`` and ``cron`` is given; no time, expression or time zone; or one that
                never comes.
            MissingExtra: ``cron`` without its library.
        """
        if (after is not None) + (at is not None) + (cron is not None) != 1:
            raise ValueError("remind takes one of after= (seconds from now), at= (seconds since the epoch) and cron=")
        if cron is None:
            given.seconds("remind: after", after) if after is not None else given.seconds("remind: at", at)
        if missed not in get_args(Missed):
            raise ValueError(f"remind: missed={missed!r} is none of {', '.join(get_args(Missed))}")
        if cron is None and tz != "UTC":
            raise ValueError("remind: tz= goes with cron=; at= and after= are seconds, which have no time zone")
        if cron is not None:
            due = self._frame.calendar.next(cron, tz, self.now)
        else:
            due = self.now + max(0.0, after) if after is not None else cast(float, at)
        data, _ = stored(message)
        id = self._next()
        plain = cron is None and missed != "skip"
        schedule = None if plain else Schedule(cron or "", tz, missed, id, due)
        self.rare.timers.append(Timer(id, due, self._envelope(id, self.me, message, data, None), schedule))
        return id

    def forget(self, reminder: str) -> None:
        """Drop a reminder of this actor; one with ``cron`` comes no more. What has fired already is not called back."""
        kept = [timer for timer in self.rare.timers if not _is_called(reminder, timer.id, timer.schedule)]
        if len(kept) < len(self.rare.timers):
            self.rare.timers[:] = kept
            return
        for id, schedule in self._frame.reminders().items():
            if _is_called(reminder, id, schedule) and id not in self.rare.dropped:
                self.rare.dropped.append(id)

    def stop(self, failure: Failure | None = None) -> None:
        """End this actor after this turn.

        Args:
            failure: it does not end in order: its supervisor decides, as if the turn had failed, but what the turn did counts.

        The answer that this turn gives, and those to requests that were left open before (``later``), are kept: whoever makes the same
        request again gets the same answer (the newest 16). Anything else is answered ``finished``.
        """
        if failure is not None:
            self.life, self.ended_by = "restarting", said(failure)
        else:
            self.finished = True

    def uid(self) -> str:
        """A fresh id, the same in replay: derived from the journal's seed, this address and the turn's number."""
        self._uids += 1
        return digest(self._frame.seed, self.me, str(self._frame.turns), str(self._uids))


def _is_called(reminder: str, id: str, schedule: Schedule | None) -> bool:
    """Whether a timer is, or is a tick of, what ``remind`` gave this id for."""
    return reminder in (id, schedule.series if schedule is not None else id)
