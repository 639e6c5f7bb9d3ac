"""A team whose work can be counted from the journal alone: what was under way when, who did what how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Raw

import understudy as us
from understudy.actors.cell import read_record
from understudy.protocols.codec import encode
from understudy.protocols.envelope import Envelope
from understudy.protocols.ids import Address
from understudy.protocols.journal import Row
from understudy.protocols.model import ModelReply, ModelRequest
from understudy.protocols.plans import Parallel
from understudy.protocols.tasks import Result
from understudy.supervisor.team.places import PlacesState, keeper
from understudy.testing import Faults, Sent, Simulated

KEEPER = keeper("desk")


def fetch(task: us.Task) -> str:
    """Fetch facts."""
    return f"{task.objective} fetched"


def write(task: us.Task) -> str:
    """Write prose."""
    return f"{task.objective} written"


def check(task: us.Task) -> list[str]:
    """Check numbers."""
    return sorted(task.inputs)


def fetcher(**options: Any) -> us.Worker[str]:
    return us.Worker("fetcher", fetch, effect="read", **options)


def writer(**options: Any) -> us.Worker[str]:
    return us.Worker("writer", write, effect="read", **options)


def checker(**options: Any) -> us.Worker[list[str]]:
    return us.Worker("checker", check, effect="read", **options)


def desk(**options: Any) -> us.Supervisor:
    """Three workers."""
    return us.Supervisor("desk", [fetcher(), writer(), checker()], **options)


class Falls:
    """A model whose first answer is too large for a row to hold it twice."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = 0

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        self.asked += 1
        return ModelReply("x" * 600_000 if self.asked == 1 else "Up again.")


def clumsy(name: str, **options: Any) -> us.Agent[str]:
    """Dies at its first answer; it is given up where nobody may be restarted."""
    return us.Agent(name, "Falls over.", model=Falls(name), **options)


NEVER_AGAIN = us.Intensity(max_restarts=0)


def result(sent: Sent) -> Result:
    """What a caller was told."""
    assert sent.reply is not None
    assert sent.reply.failure is None, sent.reply.failure
    told: Result = msgspec.json.decode(sent.reply.value, type=Result)
    return told


def rows(node: Simulated) -> tuple[Row, ...]:
    return node.journal.rows(limit=1_000_000)


def places(node: Simulated) -> PlacesState:
    """Who has a place and who waits for one, by the journal."""
    state = node.actor(KEEPER).state
    assert isinstance(state, PlacesState)
    return state


def under_way(journal: Sequence[Row]) -> list[Counter[str]]:
    """After each row, how many runs of each worker have begun and are not over."""
    running: dict[Address, str] = {}
    seen: list[Counter[str]] = []
    for row in journal:
        record = read_record(row)
        parts = row.stream.split("/")
        if len(parts) < 3 or parts[1] == "shared":
            continue
        if any(event.wire in ("worker.accepted", "agent.began") for event in record.events):
            running[row.stream] = parts[2]
        if record.life in ("finished", "stopped") or (record.post is not None and record.post.given_up is not None):
            running.pop(row.stream, None)
        seen.append(Counter(running.values()))
    return seen


def within(seen: Sequence[Counter[str]], limits: Parallel) -> bool:
    """Whether a limit was kept at every row."""
    return all(
        (limits.tasks is None or sum(now.values()) <= limits.tasks)
        and all((most := limits.of(worker)) is None or many <= most for worker, many in now.items())
        for now in seen
    )


def begun(journal: Sequence[Row]) -> Counter[str]:
    """How often the work of each worker's run was begun."""
    count: Counter[str] = Counter()
    for row in journal:
        if any(event.wire in ("worker.accepted", "agent.began") for event in read_record(row).events):
            count[row.stream] += 1
    return count


def order(node: Simulated, to: str, message: us.Message) -> None:
    """Say it in the control lane, as a supervisor does."""
    cls, data = type(message), Raw(encode(message))
    id = f"outside:{to}#{cls.__wire__}{len(rows(node))}"
    node._take(Sent(Envelope(id, Address(to), cls.__wire__, data, lane="control")))


def is_poison(failure: us.Failure) -> bool:
    """Whether it comes from mail that was pending at so many deaths of the process that it was put aside."""
    return any(cause.code == "poison" for cause in failure.chain())


def poisoned(sent: Sent) -> bool:
    """Whether that befell the task itself; then nothing of it was begun."""
    return sent.reply is not None and sent.reply.failure is not None and is_poison(sent.reply.failure)


def see_through(node: Simulated, *sent: Sent) -> None:
    """Until all of it is answered: callers come again whose node died, and mail that was put aside because the process died too often
    while it was pending is tried again, as people do. Anything else that people are asked stays."""
    for _ in range(200):
        node.rest()
        poison = [item for item in node.inbox() if item.failure is not None and is_poison(item.failure)]
        for item in poison:
            node.answer(item.id, "retry" if "retry" in item.answers else "approve")
        lost = [one for one in sent if one.lost]
        for one in lost:
            node.again(one)
        if not poison and not lost:
            return
        if node.crashes > 100:
            node.faults = Faults()
    raise AssertionError("it never comes to an end")
