"""What will never move again by itself: unfinished actors for which nothing is open that could bring them on. There should be none, ever.

    unfinished: it owes an answer, waits for one, is suspended, or has something open
    it moves:   mail waits for it | a timer of it is due | an effect of it is open (performed, due, or put before a person)
                | whom it asked still knows of it | somebody is to decide about it

A fold over the working sets and, for those who owe or wait, over what they remember; nobody else is looked at. In a running system it is
also looked at whether somebody really has in hand what stands in the working sets: an outcome that was forgotten, a timer without an alarm.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from ..actors.cell import Cell, Memory
from ..actors.kernel import Kernel
from ..actors.releases import Start
from ..protocols.codec import decode, encode
from ..protocols.effects import PERSON, Effect
from ..protocols.ids import SYSTEM, Address
from ..protocols.journal import ActorLine, Mail, Record, Row, Timer
from .journal.reader import read_only
from .supervision.overview import fold
from .supervision.roster import SupervisorState
from .supervision.strategy import steps, units
from .supervision.tree import ROOT

UNFINISHED = ("running", "restarting")


class Stuck(Struct, frozen=True):
    """Something that nothing will ever move.

    Attributes:
        actor: its address.
        why: in words.
        item: id of the mail, effect, timer, ask or request that shows it; empty where it is the actor itself.
    """

    actor: Address
    why: str
    item: str = ""


class Picture(Struct):
    """What there is to look at.

    Attributes:
        mail, effects, timers: what is open, by id.
        lives: where actors stand that are not absent, finished or stopped.
        memories: what those remember who owe an answer or wait for one.
        supervisors: what supervisors remember, where anybody waits for what becomes of it.
        adrift: of what is open: what nobody has in hand, by id, and why it is thought so.
    """

    mail: Mapping[str, Mail]
    effects: Mapping[str, Effect]
    timers: Mapping[str, Timer]
    lives: Mapping[Address, str]
    memories: Mapping[Address, Memory]
    supervisors: Mapping[Address, SupervisorState] = {}
    adrift: Mapping[str, tuple[Address, str]] = {}


def stuck(picture: Picture) -> tuple[Stuck, ...]:
    """Everything that will never move, by address."""
    found = [Stuck(address, why, id) for id, (address, why) in picture.adrift.items()]
    known = {(stuck.actor, stuck.item) for stuck in found}
    busy = _busy(picture)
    asked = {m.envelope.reply_to.token for m in picture.mail.values() if m.envelope.reply_to is not None}
    asked |= {asker.token for memory in picture.memories.values() for asker in memory.askers.values()}
    for address, life in picture.lives.items():
        if life == "restarting" and not _decided(picture, address) and not _led(picture, busy, address):
            found.append(Stuck(address, "its turn failed, and nobody is to decide what becomes of it"))
    for address, memory in picture.memories.items():
        if picture.lives.get(address) != "running" or address in busy:
            continue
        asks = memory.postal.asks if memory.postal is not None else {}
        lost = [(id, ask) for id, ask in asks.items() if id not in asked]
        found += [
            Stuck(address, f"it asked {ask.to}, who does not know of it and will not answer", id) for id, ask in lost
        ]
        if memory.askers and len(lost) == len(asks):
            (id, *_), (asker, *_) = memory.askers, memory.askers.values()
            who = asker.address or "somebody outside"
            found.append(Stuck(address, f"it owes {who} an answer, and nothing is open that could bring it", id))
    return tuple(
        sorted((one for one in found if one.item or (one.actor, "") not in known), key=lambda s: (s.actor, s.item))
    )


def _busy(picture: Picture) -> set[Address]:
    """For whom something is open that will move them."""
    there = {m.envelope.to for id, m in picture.mail.items() if id not in picture.adrift}
    there |= {timer.envelope.to for id, timer in picture.timers.items() if id not in picture.adrift}
    return there | {effect.stream for id, effect in picture.effects.items() if id not in picture.adrift}


def _decided(picture: Picture, address: Address) -> bool:
    """Whether somebody is to decide about a suspended actor: an order to it, or word of it to a supervisor or a person, is open."""
    names = re.compile(rb"(?<![\w/-])" + re.escape(address.encode()) + rb"(?![\w/-])").search
    about = [timer.envelope for timer in picture.timers.values()]
    for mail in picture.mail.values():
        if mail.envelope.to != address:
            about.append(mail.envelope)
        elif mail.envelope.lane == "control":
            return True
    if any(e.wire.startswith(_OF_SUPERVISION) and names(bytes(e.body)) for e in about):
        return True
    asked = (effect for effect in picture.effects.values() if effect.verb == PERSON)
    return any(e.stream == address or names(bytes(e.tag)) or names(encode(e.question)) for e in asked)


def _led(picture: Picture, busy: set[Address], address: Address) -> bool:
    """Whether its supervisor has it in hand: what that is doing goes on, somebody with whom it is started waits for a restart, or the
    supervisor itself is to be restarted."""
    for above, state in picture.supervisors.items():
        if address not in state.kids:
            continue
        if state.job is not None and _goes_on(picture, busy, above):
            return True
        if any(address in with_it for with_it in _to_come(picture, above, state)):
            return True
        life = picture.lives.get(above)
        if life == "restarting" and (_decided(picture, above) or _led(picture, busy, above)):
            return True
    return False


def _goes_on(picture: Picture, busy: set[Address], address: Address) -> bool:
    """Whether something is open for it, or for somebody for whom it waits."""
    state = picture.supervisors.get(address)
    job = state.job if state is not None else None
    return address in busy or (job is not None and any(_goes_on(picture, busy, child) for child in job.now))


def _to_come(picture: Picture, above: Address, state: SupervisorState) -> Iterable[frozenset[Address]]:
    """Who is started together when a wait is over."""
    order = units([(kid.spec.id, kid.spec.pool) for kid in state.kids.values()])
    for kid in state.kids.values():
        rings = kid.alarm in picture.timers or kid.alarm in picture.mail
        if kid.status == "waiting" and rings and kid.alarm not in picture.adrift:
            alone = kid.spec.pool or above == ROOT or state.policy is None
            strategy = "one_for_one" if alone or state.policy is None else state.policy.strategy
            yield frozenset(child for unit in steps(strategy, order, kid.spec.id).start for child in unit)


_OF_SUPERVISION = ("us.", "supervisor.")
"""How wire names of what supervisors say to each other begin."""


def owing(rows: Iterable[Row]) -> set[Address]:
    """Who ever left a request open. Most actors answer at once, and are not looked at further."""
    return {row.stream for row in rows if b'"askers":{' in bytes(row.payload)}


def remembered(rows: Iterable[Row]) -> Memory:
    """What an actor remembers besides its state: a fold that needs no definition. Raises msgspec.ValidationError for a row that is none."""
    cell: Cell | None = None
    for row in rows:
        cell = cell or Cell(row.stream, None)
        record: Record = decode(row.payload, Record)
        cell.fold(row, record)
    return cell.memory if cell is not None else Memory()


def of_journal(
    mail: Iterable[Mail], effects: Iterable[Effect], timers: Iterable[Timer], lines: Iterable[ActorLine],
    owe: Iterable[Address], rows: Callable[[Address], Iterable[Row]],
) -> Picture:  # fmt: skip
    """What a journal shows. ``owe``: whose rows are to be read by ``rows``."""
    lives = {line.address: line.life for line in lines if line.life in UNFINISHED and line.address != SYSTEM}
    memories = {address: remembered(rows(address)) for address in owe if address in lives}
    may_lead = [address for address in lives if "/" not in address] if "restarting" in lives.values() else []
    states = ((address, fold(rows(address))) for address in may_lead)
    return Picture(
        {m.envelope.id: m for m in mail}, {e.id: e for e in effects}, {t.id: t for t in timers}, lives, memories,
        {address: state for address, state in states if state is not None},
    )  # fmt: skip


def of_kernel(kernel: Kernel, picture: Picture, performing: Callable[[str], bool]) -> Picture:
    """The same of a running node, whose kernel may be ahead of its journal. ``performing``: whether an effect is performed, or its outcome
    is in hand."""
    sets, cells, find = kernel.sets, kernel.residents.cells, kernel._directory.find
    lives, memories = dict(picture.lives), dict(picture.memories)
    now = {at: cell.state for at, cell in cells.items() if cell.loaded and isinstance(cell.state, SupervisorState)}
    supervisors = {**picture.supervisors, **now}
    for address, cell in cells.items():
        if not cell.loaded:
            continue
        memory = cell.memory
        lives.pop(address, None)
        memories.pop(address, None)
        if memory.life in UNFINISHED and cell.broken is None:
            lives[address] = memory.life
            if memory.askers or (memory.postal is not None and memory.postal.asks):
                memories[address] = memory
    adrift: dict[str, tuple[Address, str]] = {}
    alarms = {id for _, id in kernel._alarms}
    for id, mail in sets.mail.items():
        to = mail.envelope.to
        if find(to) is None:
            adrift[id] = to, f"a {mail.envelope.wire} waits for it, and nobody of this system is mounted there"
        elif not _held(kernel, cells.get(to), id, to):
            adrift[id] = to, f"a {mail.envelope.wire} for it is open, and lies in no mailbox"
    for id, timer in sets.timers.items():
        to = timer.envelope.to
        if find(to) is None:
            adrift[id] = to, "a timer of it is open, and nobody of this system is mounted there"
        elif id not in alarms and not _held(kernel, cells.get(to), id, to):
            adrift[id] = to, "a timer of it is open, and nothing will ring"
    for id, effect in sets.effects.items():
        if find(effect.stream) is None:
            adrift[id] = effect.stream, f"{effect.name} of it is open, and nobody of this system is mounted there"
        elif not _under_way(kernel, cells.get(effect.stream), effect, alarms, performing):
            adrift[id] = effect.stream, f"{effect.name} of it is {effect.state}, and nobody performs it or waits for it"
    return Picture(sets.mail, sets.effects, sets.timers, lives, memories, supervisors, adrift)


def _held(kernel: Kernel, cell: Cell | None, id: str, to: Address) -> bool:
    """Whether mail lies where it is taken from."""
    if cell is None:
        return kernel.memory.mounted(to) is not None  # a memory-only actor has no list of it
    if not cell.loaded or id in kernel._suspects.held:
        return True
    return any(item.envelope.id == id for item in (*cell.mailbox.items(), *cell.mailbox.stashed()))


def _under_way(
    kernel: Kernel, cell: Cell | None, effect: Effect, alarms: set[str], performing: Callable[[str], bool]
) -> bool:
    flights = kernel.flights
    if cell is not None and (not cell.loaded or cell.broken is not None):
        return True
    if effect.id in flights._landing:  # its outcome is mail of the actor that no row holds yet
        return _held(kernel, cell, f"{effect.id}!", effect.stream)
    if effect.state == "inside":
        return True  # whether the actor that does it goes on is looked at by itself
    if effect.due is not None and effect.answer is None:
        return effect.id in alarms
    if effect.state in ("asking", "in_doubt"):
        return effect.question is not None and effect.answer is None
    leaves = any(isinstance(release, Start) and release.effect.id == effect.id for _, release in kernel._outbox)
    return flights.hold or leaves or performing(effect.id)


def of_rows(rows: Sequence[Row], lines: Iterable[ActorLine]) -> Picture:
    """What a journal in memory shows of those who are not in the kernel's memory; the kernel knows the rest."""
    return of_journal((), (), (), lines, owing(rows), lambda address: [row for row in rows if row.stream == address])


def of_file(path: str | os.PathLike[str]) -> Picture:
    """What a journal's file shows. Raises JournalError and its kinds."""
    with read_only(path) as reader:
        owe = [Address(address) for (address,) in reader.query(OWE)]
        return of_journal(reader.mail(), reader.effects(), reader.timers(), reader.actors(), owe, reader.stream)


OWE = """SELECT address FROM streams s WHERE s.life IN ('running', 'restarting')
     AND EXISTS (SELECT 1 FROM rows r WHERE r.stream = s.id AND instr(r.payload, '"askers":{'))"""
"""As ``owing``."""
