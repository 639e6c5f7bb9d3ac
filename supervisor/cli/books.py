"""What came of runs, counted from the journal's file: where each stands, what it took, what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from ...protocols.envelope import Reply
from ...protocols.model import Usage
from ...tools.models.prices import estimate
from .. import offline
from ..inbox import InboxItem, inbox
from ..journal.reader import JournalReader, read_only
from ..journal.reading import reading
from ..results import recorded
from .source import warn

REFERENCE = "openai:gpt-5-mini"
"""The model whose list price says what a run would have cost, where the model that ran has none."""


class RunLine(Struct, frozen=True, omit_defaults=True):
    """Where one run stands.

    Attributes:
        id: as the input named it, or the end of its address.
        run: its address.
        status: done, cannot, failed, waiting; ``erased`` where retention took what would say it;
            ``unfinished`` where something of it goes on with the next process;
            ``refused`` where the journal knows the id with another task.
        output, reason: of its result.
        waiting: what people have to answer.
    """

    id: str
    run: str
    status: str
    output: Raw = Raw(b"null")
    reason: str = ""
    waiting: tuple[InboxItem, ...] = ()


class Totals(Struct, frozen=True):
    """What runs took together.

    Attributes:
        usage, answers: tokens and model calls.
        cost: US dollars where prices are known.
        unpriced: model calls without a price.
        would_cost: what the unpriced ones would have cost with ``REFERENCE``; None where its price is not known.
        retries: attempts made again after a failure.
        cut_off: calls that the end of a process cut off where the journal knew that they had begun.
        restarts: of actors.
    """

    usage: Usage = Usage()
    answers: int = 0
    cost: float = 0.0
    unpriced: int = 0
    would_cost: float | None = None
    retries: int = 0
    cut_off: int = 0
    restarts: int = 0


_OF = "(SELECT value FROM json_each(?))"

_REPLIES = f"""SELECT s.address, json_extract(r.payload, '$.replies[0]') AS reply FROM rows r JOIN streams s ON s.id = r.stream
    WHERE s.address IN {_OF} AND reply IS NOT NULL ORDER BY r.gid"""

_ERASED = f"""SELECT s.address FROM streams s WHERE s.address IN {_OF}
    AND EXISTS (SELECT 1 FROM rows r WHERE r.stream = s.id AND r.digest IS NOT NULL)"""

_SPENT = f"""SELECT SUM(input_tokens), SUM(output_tokens), MAX(estimated), COUNT(*), SUM(cost), COUNT(cost),
    SUM(CASE WHEN cost IS NULL THEN input_tokens END), SUM(CASE WHEN cost IS NULL THEN output_tokens END)
    FROM spend WHERE run IN {_OF}"""

_ATTEMPTS = f"""SELECT COALESCE(json_extract(payload, '$.failure.code'), '') = 'interrupted',
    json_extract(payload, '$.changes[0].state') = 'waiting', COUNT(*)
    FROM rows r JOIN streams s ON s.id = r.stream WHERE r.kind = 'attempt' AND s.run IN {_OF} GROUP BY 1, 2"""

_RESTARTS = f"SELECT SUM(incarnation) FROM streams WHERE life IS NOT NULL AND run IN {_OF}"

_ALL = "SELECT run FROM streams WHERE life IS NOT NULL AND run <> '' GROUP BY run ORDER BY MIN(began), MIN(id)"


class Books:
    """The journal's file, to count in. Close it, or use it as a context."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader: JournalReader = read_only(path)

    def warn(self) -> None:
        """Say on standard error where the file does not hold all that was acknowledged."""
        warn(self._reader)

    def runs(self) -> list[str]:
        """Every run's address, the oldest first."""
        return [line[0] for line in self._reader.query(_ALL)]

    def lines(self, runs: Iterable[tuple[str, str]]) -> list[RunLine]:
        """Where these runs stand, given as (id, address)."""
        wanted = list(runs)
        replies: dict[str, Reply] = {}
        for address, reply in self._reader.query(_REPLIES, _json([run for _, run in wanted])):
            with reading(f"the answer of {address!r}"):
                replies[address] = msgspec.json.decode(reply, type=Reply)
        asked: dict[str, list[InboxItem]] = {}
        open_effects = self._reader.effects()
        if not offline.owned(self._path):
            open_effects = tuple(map(offline.as_left, open_effects))
        for entry in inbox(open_effects):
            asked.setdefault(entry.run, []).append(entry)
        moving = {
            str(e.context.run or e.stream)
            for e in open_effects
            if e.state not in ("asking", "in_doubt", "inside") or e.answer
        } | {str(m.envelope.context.run or m.envelope.to) for m in self._reader.mail()}
        erased = {line[0] for line in self._reader.query(_ERASED, _json([run for _, run in wanted]))}
        return [
            RunLine(id, run, "erased", reason="by retention")
            if run in erased and (run not in replies or replies[run].failure is not None)
            else _line(id, run, replies.get(run), tuple(asked.get(run, ())), moves=run in moving)
            for id, run in wanted
        ]

    def totals(self, runs: Sequence[str]) -> Totals:
        """What these runs took."""
        names = _json(runs)
        tokens_in, tokens_out, estimated, answers, cost, priced, free_in, free_out = self._reader.query(_SPENT, names)[
            0
        ]
        attempts = self._reader.query(_ATTEMPTS, names)
        unpriced = answers - priced
        would = estimate(REFERENCE, Usage(free_in or 0, free_out or 0)) if unpriced else 0.0
        return Totals(
            usage=Usage(tokens_in or 0, tokens_out or 0, estimated=bool(estimated)),
            answers=answers,
            cost=cost or 0.0,
            unpriced=unpriced,
            would_cost=would,
            retries=sum(n for interrupted, waiting, n in attempts if waiting and not interrupted),
            cut_off=sum(n for interrupted, _, n in attempts if interrupted),
            restarts=self._reader.query(_RESTARTS, names)[0][0] or 0,
        )

    def __enter__(self) -> Books:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()


def _line(id: str, run: str, reply: Reply | None, waiting: tuple[InboxItem, ...], *, moves: bool) -> RunLine:
    if reply is None:
        return RunLine(id, run, "unfinished" if moves or not waiting else "waiting", waiting=waiting)
    if reply.failure is not None:
        return RunLine(id, run, "failed", reason=reply.failure.message, waiting=waiting)
    result = recorded(reply.value)
    return RunLine(id, run, result.status, result.output, result.reason, waiting)


def _json(names: Sequence[str]) -> str:
    return msgspec.json.encode(names).decode()
