"""What an actor does about its supervisor's orders: begin, go on, end in order.

Who is told what: see ``protocols.lifecycle``. An actor that supervises takes ``Start`` and ``Shutdown`` as messages and answers them
itself, when its tree has started or ended.

To end in order is one row where no call is under way. Otherwise the mail is held from the row of the order on, calls that have not begun
are taken back, and a second turn (``Halt``) follows when the last call has come to its end, or when the time is over: what is under
way then is cancelled, and the row says which calls these were.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from ..protocols.codec import decode, encode
from ..protocols.effects import Effect
from ..protocols.envelope import Context, Envelope
from ..protocols.errors import Ignore
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.journal import Timer
from ..protocols.lifecycle import (
    Attend,
    Cease,
    ChildExited,
    ChildFailed,
    ChildStarted,
    ChildStopped,
    Restart,
    Resume,
    Shutdown,
    Start,
    Stop,
    Stopping,
)
from ..protocols.mail import Halting
from ..protocols.messages import Message
from .asking import disappoint, takes_up
from .cell import Cell
from .postal import later_id
from .turn import Turn

ENDED = ("finished", "stopped")


class Halt(Message, wire="us.halt"):
    """To an actor that is to end: its time is over, or nothing is under way any more."""

    attempt: int


TAKEN_BY_THE_ENDED = frozenset({Start.__wire__, Shutdown.__wire__})
"""Orders that one who has ended takes, too: it begins again, or says that it has ended."""

LOST_ON_THE_ENDED = frozenset(
    {Restart.__wire__, Resume.__wire__, Stop.__wire__, Cease.__wire__, Halt.__wire__, Attend.__wire__}
)
"""Orders that mean nothing to one who has ended: no dead letters."""

ANSWERED = frozenset({Start.__wire__, Restart.__wire__, Shutdown.__wire__, Halt.__wire__})
"""Orders whose sender waits for what comes of them."""


def attempt_of(envelope: Envelope) -> int:
    """The number of the order that a message is; 0 for none that anybody waits for."""
    if envelope.lane != "control" or envelope.wire not in ANSWERED:
        return 0
    numbered: _Numbered = decode(envelope.body, _Numbered)
    return numbered.attempt


class _Numbered(msgspec.Struct):
    attempt: int = 0


def restart_of(cell: Cell, envelope: Envelope) -> Restart | None:
    """The order to begin a new incarnation, if this is one."""
    if envelope.wire == Restart.__wire__:
        order: Restart = decode(envelope.body, Restart)
        return order
    if envelope.wire == Start.__wire__ and cell.memory.life in ("restarting", *ENDED):
        start: Start = decode(envelope.body, Start)
        return Restart(start.state, start.cause, start.attempt)
    return None


def begins_in_order(cell: Cell) -> bool:
    """Whether it is begun by its supervisor, and its mail waits for that."""
    return cell.mount is not None and cell.mount.begun == "in order"


def up(cell: Cell, turn: Turn[Any], attempt: int, incarnation: int) -> None:
    """It has begun, as it was ordered to: whoever ordered it is told."""
    assert cell.mount is not None
    if attempt and not cell.mount.actor.supervises:
        turn.note("led", True)
        turn.tell(cell.mount.supervisor, ChildStarted(cell.address, incarnation, attempt))


def ordered(cell: Cell, turn: Turn[Any], envelope: Envelope, begin: Callable[[Cell, Turn[Any]], None]) -> bool:
    """Take an order about its life. False for mail that is none, and for what an actor that supervises takes as a message.

    ``begin`` runs the ``Started`` handler, if it is due.
    """
    assert cell.mount is not None
    if envelope.wire == Resume.__wire__:
        if cell.memory.life == "restarting":
            turn.note("resumed", True)
        return True
    if envelope.wire == Cease.__wire__:
        if cell.memory.life == "restarting":
            turn.life, turn.ended_by = "stopped", decode(envelope.body, Cease).failure
        return True
    if envelope.wire == Halt.__wire__:
        _halt(cell, turn, decode(envelope.body, Halt).attempt, envelope.id)
        return True
    if cell.mount.actor.supervises:
        return False
    if envelope.wire == Start.__wire__:
        begin(cell, turn)
        up(cell, turn, decode(envelope.body, Start).attempt, cell.memory.incarnation)
        return True
    if envelope.wire == Shutdown.__wire__:
        _shut_down(cell, turn, decode(envelope.body, Shutdown))
        return True
    return False


def _shut_down(cell: Cell, turn: Turn[Any], order: Shutdown) -> None:
    memory, postal = cell.memory, cell.memory.postal
    assert cell.mount is not None
    halting = Halting(cell.mount.supervisor, order.attempt, order.final, order.cause)
    if memory.life in ENDED or (memory.life == "restarting" and postal is not None and postal.down):
        if order.final and memory.life not in ENDED:
            over(cell, turn, halting, ())
        else:
            turn.order(halting.by, ChildStopped(cell.address, order.attempt, "shutdown"))
        return
    handler = cell.mount.actor.behaviour.handlers.get(Stopping.__wire__)
    if handler is not None and memory.life == "running" and memory.seq:
        handler.method(cell.mount.actor, turn, Stopping(order.final, order.cause))
    under_way = flying(cell)
    if not under_way or order.within == 0:
        over(cell, turn, halting, under_way)
        return
    if order.within is not None:
        id = turn.next_id()
        word = turn.control(id, cell.address, Halt(order.attempt))
        turn.rare.timers.append(Timer(id, turn.now + order.within, word))
        halting = msgspec.structs.replace(halting, alarm=id)
    turn.life = "restarting"
    turn.note("halting", halting)
    take_back(cell, turn, ("asking", "waiting"), halting)


def _halt(cell: Cell, turn: Turn[Any], attempt: int, id: str) -> None:
    postal = cell.memory.postal
    if postal is not None and postal.halting is not None and postal.halting.attempt == attempt:
        alarm = postal.halting.alarm
        if alarm in cell.memory.timers and alarm != id:
            turn.rare.dropped.append(alarm)
        over(cell, turn, postal.halting, flying(cell))


def over(cell: Cell, turn: Turn[Any], halting: Halting, left: tuple[Effect, ...]) -> None:
    """The end. ``left``: calls that are under way still, and are cancelled."""
    turn.note("down", True)
    if halting.final:
        turn.life = "stopped"
        turn.ended_by = halting.cause or Failure(
            "abandon", "stopped", f"{cell.address} was stopped", where=cell.address
        )
    else:
        turn.life = "restarting"
        take_back(cell, turn, ("intended", "asking", "waiting"), halting)
    names = tuple(effect.name for effect in left)
    turn.order(halting.by, ChildStopped(cell.address, halting.attempt, "killed" if left else "shutdown", names))


def take_back(cell: Cell, turn: Turn[Any], states: tuple[str, ...], halting: Halting) -> None:
    """Withdraw calls in these states. Whoever waits for what only they would have brought is told, for the next life knows nothing of
    them; at the end of the last one everybody is."""
    effects = cell.memory.effects.values()
    gone = tuple(effect for effect in effects if effect.state in states)
    turn.changes = (*turn.changes, *(msgspec.structs.replace(effect, state="withdrawn", due=None) for effect in gone))
    if gone and cell.memory.askers and not halting.final and not takes_up(cell):
        still = {later_id(bytes(effect.tag)) for effect in effects if effect.state not in states}
        disappoint(cell, turn, {later_id(bytes(effect.tag)) for effect in gone} - still, halting.cause)


def ignores(cell: Cell, turn: Turn[Any], envelope: Envelope, why: Ignore) -> None:
    """Its ``Started`` handler said that there is nothing to do: nothing runs, and its supervisor knows."""
    assert cell.mount is not None
    attempt = decode(envelope.body, Start).attempt
    turn.life = "stopped"
    turn.ended_by = Failure("abandon", "ignored", str(why), where=cell.address)
    turn.tell(cell.mount.supervisor, ChildStarted(cell.address, cell.memory.incarnation, attempt, ignored=True))


def flying(cell: Cell) -> tuple[Effect, ...]:
    """Calls that are, or may be, under way."""
    return tuple(effect for effect in cell.memory.effects.values() if effect.state in ("intended", "started"))


def word_to_halt(cell: Cell, gid: int, now: float) -> Envelope:
    """Tell it that nothing is under way any more, after row ``gid``."""
    postal = cell.memory.postal
    assert postal is not None
    assert postal.halting is not None
    data = Raw(encode(Halt(postal.halting.attempt)))
    return _inside(f"halt:{cell.address}:{gid}", cell.address, Halt, data, now)


def word_to_stop(cell: Cell, cancel: str, why: Failure, now: float) -> Envelope:
    """End a run that was given up, and takes no mail: the message ``cancel`` would have ended it."""
    return _inside(f"stop:{cell.address}:{cancel}", cell.address, Stop, Raw(encode(Stop(why))), now)


def attendance(supervisor: Address, epoch: int, now: float) -> Envelope:
    """What a supervisor is told at the start of a life of the process."""
    return _inside(f"attend:{supervisor}:{epoch}", supervisor, Attend, Raw(encode(Attend())), now)


def _inside(id: str, to: Address, message: type[Message], data: Raw, now: float) -> Envelope:
    return Envelope(id, to, message.__wire__, data, context=Context(to), lane="control", at=now)


def tell_end(cell: Cell, turn: Turn[Any]) -> None:
    """It ended itself: whoever started it is told. With a failure that is one, as if its turn had failed."""
    assert cell.mount is not None
    memory = cell.memory
    if turn.ended_by is not None:
        if turn.life != "restarting":  # it was ordered to end
            return
        word = ChildFailed(cell.address, memory.incarnation, turn.ended_by, "", turn.context.run, attempt=turn.attempt)
        turn.tell(cell.mount.supervisor, word)
    elif memory.led or (turn.notes or {}).get("led"):
        turn.tell(cell.mount.supervisor, ChildExited(cell.address, memory.incarnation))
