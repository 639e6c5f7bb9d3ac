"""The board of a team: one actor at ``<team>/shared/board``. Its turns are the order of all writes, so every write is a compare-and-set.

BoardWrite(expected) -> the version is still that one -> written, under the next version
                     -> it is another one: a lost race -> the declared resolvers -> one of the two stands, or a merged value
                                                                                 -> a judge or a person, where it takes one
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from ...actors.actor import Actor, applies, handles, settles
from ...actors.outcome import Later, Outcome
from ...actors.turn import Turn
from ...protocols.board import (
    MAX_BOARD,
    MAX_DISPUTES,
    MAX_ENTRIES,
    MAX_KEY,
    MAX_REASON,
    MAX_VALUE,
    BoardDrop,
    BoardEntry,
    BoardKeys,
    BoardRead,
    BoardWrite,
    BoardWritten,
)
from ...protocols.conflicts import Claim, Conflict, ConflictFound, ConflictResolved, Decided, Resolve, told
from ...protocols.errors import NotStorable, Rejected
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.lifecycle import Restarted
from ...protocols.messages import Event, State
from ...protocols.provenance import Provenance, joined
from ...protocols.tasks import Cancel
from .deciding import Accept, settle, stance
from .known import Known
from .policy import Conflicts


class EntryWritten(Event, wire="board.written"):
    """An entry has a new value."""

    entry: BoardEntry


class EntryDropped(Event, wire="board.dropped"):
    """An entry is gone; ``version`` of the board at which it went."""

    key: str
    version: int
    by: str


class Dispute(Struct, frozen=True, omit_defaults=True):
    """A lost race that somebody decides: who waits for it, where, what was to be written, and where that came from."""

    key: str
    conflict: Conflict
    to: Address
    later: str
    provenance: Provenance | None = None


class Disputed(Event, wire="board.disputed"):
    """A lost race has to be decided by somebody."""

    dispute: Dispute


class Undisputed(Event, wire="board.undisputed"):
    """It is decided, or nobody waits for it any more."""

    key: str


class BoardState(State):
    """All entries. ``version``: the last one given; ``size``: bytes of all values; ``disputes``: by key; ``count``: disputes so far."""

    entries: dict[str, BoardEntry] = msgspec.field(default_factory=dict[str, BoardEntry])
    version: int = 0
    size: int = 0
    disputes: dict[str, Dispute] = msgspec.field(default_factory=dict[str, Dispute])
    count: int = 0


class BoardActor(Actor):
    """A team's board."""

    State = BoardState
    inner = True
    sticky = False  # it hands each thing on under the labels of that thing

    def __init__(self, policy: Conflicts, known: Known) -> None:
        self.policy, self.known = policy, known

    @handles(BoardRead)
    def read(self, turn: Turn[BoardState], msg: BoardRead) -> BoardEntry:
        return _told(turn, _entry(turn.state, msg.key))

    @handles(BoardKeys)
    def keys(self, turn: Turn[BoardState], msg: BoardKeys) -> dict[str, int]:
        turn.under(_of_all(turn.state))  # names are words, too
        return {key: entry.version for key, entry in turn.state.entries.items()}

    @handles(BoardWrite)
    def write(self, turn: Turn[BoardState], msg: BoardWrite) -> Later[BoardWritten]:
        who, outside = self._who(turn, msg.by), not turn.sender
        later = turn.later(msg)
        entry = _entry(turn.state, msg.key)
        refusal = _unfit(turn.state, msg.key, msg.value, msg.confidence) or _unreadable(msg)
        if refusal is not None:
            turn.refuse(later, refusal)
        elif entry.disputed:
            turn.refuse(later, _busy(entry))
        elif entry.version == msg.expected:
            self._put(
                turn,
                later,
                BoardEntry(
                    msg.key,
                    msg.value,
                    entry.version,
                    who,
                    turn.now,
                    msg.confidence,
                    outside=outside,
                    provenance=turn.provenance,
                ),
            )
        else:
            stands = stance(msgspec.json.decode(msg.value))
            mine = Claim(who, msg.value, msg.confidence, turn.sender, stands, msg.reason, turn.now, outside)
            theirs = Claim(
                entry.by or "nobody",
                entry.value,
                entry.confidence,
                Address(""),
                stance(entry.plain),
                "",
                entry.at,
                entry.outside,
            )
            self._lost(turn, later, Conflict("entries", msg.key, (theirs, mine)), turn.provenance)
        return later

    @handles(BoardDrop)
    def drop(self, turn: Turn[BoardState], msg: BoardDrop) -> Later[BoardWritten]:
        by = self._who(turn, msg.by)
        later = turn.later(msg)
        entry = _entry(turn.state, msg.key)
        if entry.disputed:
            turn.refuse(later, _busy(entry))
        elif entry.version != msg.expected:
            turn.reply(later, BoardWritten(False, _told(turn, entry)))
        else:
            if entry.version:
                turn.emit(EntryDropped(msg.key, turn.state.version + 1, by))
            turn.reply(later, BoardWritten(True, _told(turn, _entry(turn.state, msg.key))))
        return later

    @settles(Resolve)
    def ruled(self, turn: Turn[BoardState], outcome: Outcome[Decided]) -> None:
        dispute = next((d for d in turn.state.disputes.values() if d.to == outcome.tag), None)
        if dispute is None:
            return  # nobody waits for it any more
        turn.emit(Undisputed(dispute.key))
        if outcome.failure is not None:
            turn.refuse(Later[BoardWritten](dispute.later), outcome.failure)
        else:
            provenance = joined(dispute.provenance, turn.provenance)
            self._follow(turn, Later(dispute.later), dispute.conflict, outcome.value, provenance)

    @handles(Cancel)
    def cancel(self, turn: Turn[BoardState], msg: Cancel) -> None:
        """A writer waits no more for what is decided about its lost race: the entry stays as it is."""
        for dispute in list(turn.state.disputes.values()):
            if dispute.later == msg.request:
                turn.emit(Undisputed(dispute.key))
                turn.tell(dispute.to, Cancel(msg.reason or "the writer waits no more"))

    @handles(Restarted)
    def again(self, turn: Turn[BoardState], msg: Restarted) -> None:
        """A step failed: what somebody is deciding is asked for anew, and its writers go on waiting."""
        for dispute in list(turn.state.disputes.values()):
            turn.emit(Undisputed(dispute.key))
            turn.tell(dispute.to, Cancel("the board was restarted"))
            self._lost(turn, Later(dispute.later), dispute.conflict, dispute.provenance)

    # -- its steps ----------------------------------------------------------------------------------------------

    def _who(self, turn: Turn[BoardState], by: str) -> str:
        if turn.sender:
            return self.known.name(turn.sender)
        if len(by) > MAX_KEY:
            raise Rejected(f"by= has {len(by)} characters", hint=f"a name of at most {MAX_KEY}")
        return self.known.outsider(by) if by else "outside"

    def _put(self, turn: Turn[BoardState], later: Later[BoardWritten], entry: BoardEntry) -> None:
        state = turn.emit(EntryWritten(msgspec.structs.replace(entry, version=turn.state.version + 1)))
        turn.reply(later, BoardWritten(True, _told(turn, state.entries[entry.key])))

    def _lost(
        self, turn: Turn[BoardState], later: Later[BoardWritten], conflict: Conflict, provenance: Provenance | None
    ) -> None:
        """``provenance``: where the value comes from that was not written."""
        over = settle(
            self.policy.steps("entries"), conflict, turn.now, accept=self._accept(turn.state, conflict.subject)
        )
        if isinstance(over, Decided):
            self._follow(turn, later, conflict, over, provenance)
            return
        if len(turn.state.disputes) >= MAX_DISPUTES:
            why = f"{MAX_DISPUTES} lost races of this board are being decided already"
            turn.refuse(later, Failure("retry_later", "disputed", why, "read it again later", after=60.0))
            return
        to = Address(f"{turn.me.rsplit('/', 1)[0]}/conflict/board-{turn.state.count + 1}")
        turn.emit(ConflictFound(told(conflict), to, over.passed))
        turn.emit(Disputed(Dispute(conflict.subject, conflict, to, later.id, provenance)))
        turn.under(joined(provenance, _entry(turn.state, conflict.subject).provenance))
        turn.ask(to, Resolve(conflict, over.at, over.passed), tag=to)

    def _follow(
        self, turn: Turn[BoardState], later: Later[BoardWritten], conflict: Conflict, decided: Decided,
        provenance: Provenance | None,
    ) -> None:  # fmt: skip
        key, mine = conflict.subject, conflict.claims[1]
        value = decided.value if decided.made else mine.value if decided.winner == 1 else None
        wrong = "" if value is None else self._accept(turn.state, key)(value)
        if wrong:  # there was room when it was decided
            why = f"{decided.reason}; but {wrong}"
            decided, value = msgspec.structs.replace(decided, reason=why, winner=None, made=False), None
        turn.emit(ConflictResolved(told(conflict), decided))
        if value is not None:
            by = decided.by if decided.made else mine.who
            sure = None if decided.made else mine.confidence
            outside = mine.outside and not decided.made
            whose = joined(provenance, _entry(turn.state, key).provenance) if decided.made else provenance
            version = turn.state.version + 1
            turn.emit(
                EntryWritten(BoardEntry(key, value, version, by, turn.now, sure, outside=outside, provenance=whose))
            )
        stands = _told(turn, _entry(turn.state, key))
        turn.under(joined(turn.context.provenance, provenance))  # the decision tells of both
        turn.reply(later, BoardWritten(decided.winner == 1, stands, decided))

    def _accept(self, state: BoardState, key: str) -> Accept:
        def accept(value: Raw) -> str:
            refusal = _unfit(state, key, value, None)
            return "" if refusal is None else refusal.message

        return accept

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(EntryWritten)
    def written(self, state: BoardState, event: EntryWritten) -> BoardState:
        entry = event.entry
        before = state.entries.get(entry.key)
        grown = len(bytes(entry.value)) - (len(bytes(before.value)) if before is not None else 0)
        return state.evolve(entries={**state.entries, entry.key: entry}, version=entry.version, size=state.size + grown)

    @applies(EntryDropped)
    def dropped(self, state: BoardState, event: EntryDropped) -> BoardState:
        gone = state.entries[event.key]
        left = {key: entry for key, entry in state.entries.items() if key != event.key}
        return state.evolve(entries=left, version=event.version, size=state.size - len(bytes(gone.value)))

    @applies(Disputed)
    def disputed(self, state: BoardState, event: Disputed) -> BoardState:
        return state.evolve(disputes={**state.disputes, event.dispute.key: event.dispute}, count=state.count + 1)

    @applies(Undisputed)
    def undisputed(self, state: BoardState, event: Undisputed) -> BoardState:
        return state.evolve(disputes={key: d for key, d in state.disputes.items() if key != event.key})

    @applies(ConflictFound)
    def found(self, state: BoardState, event: ConflictFound) -> BoardState:
        return state

    @applies(ConflictResolved)
    def resolved(self, state: BoardState, event: ConflictResolved) -> BoardState:
        return state


def _entry(state: BoardState, key: str) -> BoardEntry:
    entry = state.entries.get(key, BoardEntry(key))
    return msgspec.structs.replace(entry, disputed=True) if key in state.disputes else entry


def _told(turn: Turn[BoardState], entry: BoardEntry) -> BoardEntry:
    """An entry as it is told: whoever is told takes on where it comes from."""
    turn.under(entry.provenance)
    return msgspec.structs.replace(entry, provenance=None) if entry.provenance is not None else entry


def _of_all(state: BoardState) -> Provenance | None:
    found: Provenance | None = None
    for entry in state.entries.values():
        found = joined(found, entry.provenance)
    return found


def _unfit(state: BoardState, key: str, value: Raw, confidence: float | None) -> Failure | None:
    """Why this cannot be written; None where it can."""
    if not key or len(key) > MAX_KEY:
        return Failure("change_arguments", "bad_key", f"the key has {len(key)} characters", f"1 to {MAX_KEY}")
    if confidence is not None and not 0.0 <= confidence <= 1.0:
        return Failure("change_arguments", "bad_confidence", f"confidence={confidence} is not between 0 and 1")
    size, before = len(bytes(value)), state.entries.get(key)
    if size > MAX_VALUE:
        why = f"the value of {key!r} is {size:,} bytes, more than {MAX_VALUE:,}"
        return Failure("change_arguments", "entry_too_large", why, "keep it elsewhere and write its name")
    if before is None and len(state.entries) >= MAX_ENTRIES:
        why = f"the board has {MAX_ENTRIES:,} entries"
        return Failure("change_arguments", "board_full", why, "drop entries that nobody needs (us.BoardDrop)")
    if state.size + size - (len(bytes(before.value)) if before is not None else 0) > MAX_BOARD:
        why = f"all values of the board would have more than {MAX_BOARD:,} bytes"
        return Failure("change_arguments", "board_full", why, "drop entries that nobody needs (us.BoardDrop)")
    return None


def _unreadable(msg: BoardWrite) -> Failure | None:
    """A value is read again when a race for it is lost: one that cannot be read is not written. It is JSON as far as its form goes,
    for it came in a message; but a number may be too large, or a text no UTF-8."""
    if len(msg.reason) > MAX_REASON:
        return Failure(
            "change_arguments", "bad_reason", f"the reason has {len(msg.reason)} characters", f"{MAX_REASON} at most"
        )
    try:
        stance(msgspec.json.decode(msg.value))
    except (ValueError, NotStorable) as error:
        return Failure(
            "change_arguments",
            "bad_value",
            f"the value of {msg.key!r} cannot be read: {error}",
            "us.BoardWrite.of makes one",
        )
    return None


def _busy(entry: BoardEntry) -> Failure:
    why = f"a lost race for {entry.key!r} is being decided"
    return Failure("retry_later", "disputed", why, "read it again later; it can be read meanwhile", after=5.0)
