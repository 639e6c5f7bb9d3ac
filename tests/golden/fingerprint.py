"""What a journal comes to: a digest of every actor's state and of each working set, folded from its rows by the code of today."""

from __future__ import annotations

import msgspec

import understudy as us
from tests.golden.troupe import troupe
from understudy.actors.cell import Cell, read_record
from understudy.protocols.codec import canonical, digest
from understudy.protocols.ids import Address
from understudy.supervisor.journal.reader import JournalReader
from understudy.supervisor.supervision.tree import Tree


def fingerprint(reader: JournalReader, but: str = "", team: us.Supervisor = troupe) -> dict[str, dict[str, str]]:
    """Digests of actors (``life seq state``) and of what is open. ``but``: a run whose texts are erased."""
    tree = Tree((team,))
    actors: dict[str, str] = {}
    for line in reader.actors():
        address = line.address
        if address == but or address.startswith(but + "/"):
            continue
        cell = Cell(Address(address), tree.directory.find(address))
        for row in reader.stream(address):
            cell.fold(row, read_record(row))
        memory = cell.memory
        facts = (memory.life, memory.incarnation, memory.seq, memory.turns, memory.context)
        open_things = (sorted(memory.effects), sorted(memory.timers), sorted(memory.askers))
        state = canonical(said(cell.state)) if cell.state is not None else b""
        actors[address] = f"{memory.life} {memory.seq} {digest(canonical(facts), canonical(open_things), state)}"
    sets = {
        "mail": [(mail.envelope.id, plain(mail)) for mail in reader.mail()],
        "effects": [(effect.id, plain(effect)) for effect in reader.effects()],
        "timers": [(timer.id, plain(timer)) for timer in reader.timers()],
        "books": [(entry.key, plain(entry)) for entry in reader.books()],
    }
    open_now = {f"{name} {id}": digest(canonical(thing)) for name, things in sets.items() for id, thing in things}
    return {"actors": actors, "open": open_now}


def said(state: msgspec.Struct) -> object:
    """A state without the fields that are at their defaults: one that a later version has, and that nothing has changed, says nothing."""
    first = type(state)()
    fields = (name for name in state.__struct_fields__ if getattr(state, name) != getattr(first, name))
    return {name: getattr(state, name) for name in fields}


def plain(thing: msgspec.Struct) -> object:
    """As JSON says it: what is at its default is left out, so that a field of a later version changes nothing."""
    return msgspec.json.decode(msgspec.json.encode(thing))
