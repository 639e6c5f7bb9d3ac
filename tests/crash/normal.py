"""Two journals of the same work, one of them killed again and again: made comparable, stream by stream.

What stays is what was decided: the rows of turns, with everything in them. What goes is what legitimately differs between
lives: clock times, attempts, the ledger's own rows and what the gate said when an effect started, and in which row a message
happens to stand whole (the one that accepted it or the one that consumed it) and on whose behalf its actor acts (the first of
either). Ids that name a row are replaced by the row's place in its own stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from understudy.protocols.ids import Address
from understudy.protocols.journal import Row

Json: TypeAlias = Any  # a tree of plain JSON values
KEPT = frozenset({"turn", "failed"})
_ITEM = re.compile(r"(\d+)\.(\d+)(!?)\Z")


def normal(rows: Iterable[Row]) -> dict[Address, list[bytes]]:
    """For each stream its turns, as lines of JSON that two journals of the same work have in common."""
    mail: dict[str, Json] = {}
    places: dict[int, str] = {}
    contexts: dict[Address, Json] = {}
    kept: dict[Address, list[tuple[Row, Json]]] = {}
    for row in rows:
        record = msgspec.json.decode(row.payload)
        if "context" in record:
            contexts[row.stream] = record.pop("context")
        for envelope in (*record.get("sends", ()), *(timer["envelope"] for timer in record.get("timers", ()))):
            mail[envelope["id"]] = envelope
        if row.kind in KEPT:
            places[row.gid] = f"{row.stream}#{len(kept.setdefault(row.stream, []))}"
            kept[row.stream].append((row, record))
        elif "message" in record:
            mail[record["message"]["id"]] = record["message"]

    def named(text: str) -> str:
        found = _ITEM.match(text)
        place = places.get(int(found[1])) if found else None
        return f"{place}.{found[2]}{found[3]}" if found and place else text

    def line(row: Row, record: Json) -> bytes:
        full = {"row": [row.kind, row.incarnation, row.cause], **_record(record, mail, row.at)}
        return msgspec.json.encode(_mapped(full, named), order="sorted")

    return {
        stream: [msgspec.json.encode(contexts.get(stream)), *(line(*pair) for pair in pairs)]
        for stream, pairs in kept.items()
    }


def _unchecked(envelope: Json) -> Json:
    """An outcome without what the gate said at its start: that is the attempt's, and may stand in a row of the ledger instead."""
    return {**envelope, "body": _without(envelope["body"], "checked")} if envelope["wire"] == "us.outcome" else envelope


def _record(record: Json, mail: dict[str, Json], at: float) -> Json:
    took = record.pop("took", "")
    record.pop("attempts", None)
    record["message"] = _unchecked(_without(mail[took] if took else record["message"], "at"))
    record["sends"] = [_without(envelope, "at") for envelope in record.get("sends", ())]
    record["withdrawn"] = [e["id"] for e in record.pop("changes", ()) if e["state"] == "withdrawn"]
    record["effects"] = [_effect(effect, at) for effect in record.get("effects", ())]
    record["timers"] = [
        {"id": t["id"], "after": round(t["at"] - at, 3), "envelope": _without(t["envelope"], "at")}
        for t in record.get("timers", ())
    ]
    return record


def _effect(effect: Json, at: float) -> Json:
    effect = _without(effect, "at", "attempt", "interrupted")
    if "due" in effect:
        effect["due"] = round(effect["due"] - at, 3)
    if "deadline" in effect.get("question", {}):
        effect["question"] = effect["question"] | {"deadline": round(effect["question"]["deadline"] - at, 3)}
    return effect


def _without(record: Json, *names: str) -> Json:
    return {name: value for name, value in record.items() if name not in names}


def _mapped(value: Json, named: Callable[[str], str]) -> Json:
    match value:
        case str(text):
            return named(text)
        case [*items]:
            return [_mapped(item, named) for item in items]
        case {**members}:
            return {named(str(name)): _mapped(item, named) for name, item in members.items()}
        case _:
            return value
