"""The rules of supervision, checked from the rows that a journal holds: who was told what, and who said what.

Each supervisor's side is a small model of its own: orders that it gave (``us.start``, ``us.shutdown``, ``us.stop``) against what it had
heard by then. Each child's side is its own stream: where a life of it began, and where it ended. Neither asks the supervisor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, json

from tests.simulation.trees import Forest, Team
from understudy.actors.cell import read_record
from understudy.protocols.children import Policy
from understudy.protocols.envelope import Envelope
from understudy.protocols.journal import Record, Row

Place = Literal["out", "starting", "up", "stopping"]


class Broken(AssertionError):
    """A rule was broken."""


class One(Struct):
    """A child as its supervisor's mail says."""

    place: Place = "out"
    attempt: int = 0
    incarnation: int = 0
    over: bool = False
    """It has ended for good, unless it is started by name or with a new life of its supervisor."""


class Led:
    """What one supervisor may do now."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.top = team.name == "root"
        self.order = list(team.fixed)
        self.ones: dict[str, One] = {name: One() for name in team.fixed}
        self.own_start = False
        """It is in the middle of its own start."""
        self.down = not self.top
        self.over: set[str] = set()
        """Children that it said have ended for good."""
        self.lost: set[str] = set()
        """Memory-only children that went with the process."""
        self.window: list[float] = []
        self.slow: list[float] = []
        self.paused = 0.0
        self.stops_since: float | None = None

    def unit(self, name: str) -> str:
        """The members of a pool are one."""
        return self.team.pool if name.startswith("pool/") else name

    def take(self, row: Row, record: Record, came: Envelope | None) -> None:
        """One row of this supervisor."""
        heard = came is not None and not (record.post is not None and record.post.stashed) and row.kind == "turn"
        wire, said = "", dict[str, Any]()
        if came is not None and heard and not any(e.wire == "supervisor.waited_on" for e in record.events):
            wire, said = came.wire, json.decode(came.body)
            self.hear(wire, said)
        by_name = said.get("child", "") if wire.startswith("supervisor.") and wire.endswith("_child") else ""
        events = [(stored.wire, json.decode(stored.data)) for stored in record.events]
        for event, data in events:
            self.list(event, data)
        if wire in (
            "us.start",
            "us.restart",
            "us.attend",
        ):  # those of the definition as they stand there, the others behind
            here, fixed = self.order, self.team.fixed
            self.order = [*(n for n in fixed if n in here), *(n for n in here if n not in fixed)]
        for sent in record.sends:
            if sent.wire in ("us.start", "us.shutdown", "us.stop", "us.restart", "us.resume"):
                self.order_given(row, sent, json.decode(sent.body), by_name)
            elif sent.wire in ("us.child_stopped", "us.child_failed", "us.child_exited"):
                self.ends(row)
            elif sent.wire == "us.child_started":
                self.own_start = False
        for event, data in events:
            self.count(row, event, data)
        stops = any(one.place == "stopping" for one in self.ones.values())
        if stops and self.stops_since is None:
            self.stops_since = row.at
        elif not stops and self.stops_since is not None:
            self.paused += row.at - self.stops_since
            self.stops_since = None

    def hear(self, wire: str, said: Mapping[str, Any]) -> None:
        one = self.ones.get(said.get("child", ""))
        ran = one is not None and one.place in ("up", "stopping")
        self._heard(wire, said, one)
        if one is not None and ran and one.place == "out" and said["child"] in self.team.temporary:
            one.over = True

    def _heard(self, wire: str, said: Mapping[str, Any], one: One | None) -> None:
        if wire in ("us.start", "us.restart"):
            self.window, self.down, self.own_start = [], False, True
            for name in self.team.fixed:
                self.ones.setdefault(name, One()).over = False
        elif wire == "us.attend":
            self.own_start = self.own_start or self.top
        elif one is None:
            return
        elif wire == "us.child_started" and one.place == "starting" and one.attempt == said["attempt"]:
            one.place = "out" if said.get("ignored") else "up"
            one.incarnation, one.over = said["incarnation"], bool(said.get("ignored"))
        elif self._goes_out(wire, said, one):
            one.place = "out"

    def _goes_out(self, wire: str, said: Mapping[str, Any], one: One) -> bool:
        """Whether word of a child means that nothing of it runs any more."""
        match wire:
            case "us.child_stopped":
                return one.place == "stopping" and one.attempt == said["attempt"]
            case "us.child_failed":
                if one.place == "up":
                    return bool(said["incarnation"] >= one.incarnation)
                if said.get("attempt", 0):
                    return bool(said["attempt"] == one.attempt)
                supervises = "/" not in said["child"]  # it may have ended itself after it was ordered to start
                return supervises and one.place == "starting" and said["incarnation"] > one.incarnation
            case "us.child_exited":
                return one.place != "starting" and said["incarnation"] >= one.incarnation
            case "supervisor.overdue":
                return one.place != "up" and one.attempt == said["attempt"]
            case _:
                return False

    def list(self, event: str, data: Mapping[str, Any]) -> None:
        """Who is a child, and where in the order."""
        if event == "supervisor.listed":
            name = data["spec"]["id"]
            self.ones[name] = One()
            self.over.discard(name)
            if name in self.order:
                self.order.remove(name)
            self.order.append(name)
        elif event == "supervisor.down" and data["how"] == "lost":
            _must(data["child"] in self.team.memory, f"{data['child']} was lost, and is durable")
            self.ones[data["child"]].place = "out"
            self.lost.add(data["child"])
        elif event == "supervisor.starting":
            self.lost.discard(data["child"])
            self.over.discard(data["child"])
        elif event == "supervisor.ended":
            self.over.add(data["child"])
        elif event == "supervisor.forgotten":
            name = data["child"]
            if name in self.order:
                self.order.remove(name)
            one = self.ones.get(name)
            if one is not None and one.place in ("up", "starting"):
                raise Broken(f"{self.team.name} forgot {name}, which is {one.place}")

    def order_given(self, row: Row, sent: Envelope, body: Mapping[str, Any], by_name: str) -> None:
        name = str(sent.to)
        one = self.ones.get(name)
        if one is None:
            return  # a virtual one
        if sent.wire == "us.resume":
            one.place = "up"
        elif sent.wire == "us.stop":
            one.place, one.over = "out", True
        elif sent.wire == "us.start":
            self.starts(row, name, one, by_name)
            one.place, one.attempt = "starting", body["attempt"]
        elif body["attempt"]:
            self.stops(row, name, one, by_name)
            one.place, one.attempt = "stopping", body["attempt"]
            one.over = one.over or bool(body.get("final"))

    def starts(self, row: Row, name: str, one: One, by_name: str) -> None:
        """A child is ordered to start: may it?"""
        what = f"row {row.gid}: {self.team.name} starts {name}"
        _must(not self.down, f"{what} while it is down itself")
        _must(one.place == "out", f"{what}, which is {one.place}")
        _must(name in self.order, f"{what}, which is none of its children")
        for other in self.order:
            busy = self.ones[other]
            if self.unit(other) != self.unit(name):
                _must(busy.place not in ("starting", "stopping"), f"{what} while {other} is {busy.place}")
        if by_name == name:
            return
        _must(not one.over or name not in self.team.temporary, f"{what}, which is temporary and over")
        grouped = self.own_start or self.team.strategy != "one_for_one"
        if not grouped or self.top or self.unit(name) != name:
            return
        if name not in self.team.memory:
            for other in self.order[self.order.index(name) + 1 :]:
                place = self.ones[other].place
                _must(
                    place == "out" or self.unit(other) != other,
                    f"{what}, and {other}, which is started after it, is {place}",
                )
        for other in self.order[: self.order.index(name)]:
            before = self.ones[other]
            if (
                before.place == "out" and other in self.lost
            ):  # it went with the process, and comes back when there is time
                continue
            if self.unit(other) == other and before.place != "up" and not before.over and other not in self.over:
                raise Broken(f"{what} before {other}, which is {before.place}")

    def stops(self, row: Row, name: str, one: One, by_name: str) -> None:
        """A child is ordered to end: is it its turn?"""
        what = f"row {row.gid}: {self.team.name} stops {name}"
        if by_name == name:
            return
        units = list(dict.fromkeys(self.unit(other) for other in self.order))
        _must(self.unit(name) in units, f"{what}, which is none of its children")
        later = set(units[units.index(self.unit(name)) + 1 :])
        for other in self.order:
            place = self.ones[other].place
            _must(
                self.unit(other) not in later or place == "out",
                f"{what} before {other}, which was started later and is {place}",
            )

    def ends(self, row: Row) -> None:
        """It says that it has ended."""
        left = {name: one.place for name, one in self.ones.items() if one.place != "out"}
        _must(not left, f"row {row.gid}: {self.team.name} has ended, and left {left}")
        self.down, self.own_start, self.window = True, False, []

    def count(self, row: Row, event: str, data: Mapping[str, Any]) -> None:
        """Recount the restarts."""
        if event == "supervisor.resolved":
            self.window, self.slow = [], []
        if event != "supervisor.restarting" or not data.get("known") or self.top:
            return
        name = data["child"]
        if self.unit(name) != name and not self.team.counts:
            return
        clock = row.at - self.paused
        limit, slow = self.team.intensity, self.team.slow
        self.window = [at for at in self.window if clock - at <= limit.within] + [clock]
        _must(
            len(self.window) <= limit.max_restarts,
            f"row {row.gid}: {self.team.name} restarts for the {len(self.window)}th time in {limit.within:g} s",
        )
        if slow is not None:
            self.slow = [at for at in self.slow if row.at - at <= slow.within] + [row.at]
            _must(
                len(self.slow) <= slow.max_restarts,
                f"row {row.gid}: {self.team.name} restarts too often in the long run",
            )


class Lived(Struct):
    """One actor's own rows."""

    begun: bool = False
    was: bool = False
    """It had begun when its last turn failed."""
    incarnation: int = 0
    life: str = "absent"


class Rules:
    """All rows of a seed, read once each."""

    def __init__(self, forest: Forest) -> None:
        policy = Policy()
        tops = tuple(team.name for team in forest.teams.values() if team.above == "root")
        root = Team("root", "", 0, policy.strategy, policy.intensity, policy.slow, tops)
        self.led = {team.name: Led(team) for team in (root, *forest.teams.values())}
        self.lived: dict[str, Lived] = {}
        self.posted: dict[str, Envelope] = {}
        """Mail to supervisors that is open, and their reminders."""
        self.sent: set[str] = set()
        self.taken: Counter[str] = Counter()
        self.saw: Counter[str] = Counter()
        self.rows = 0
        self.memory = frozenset(name for team in forest.teams.values() for name in team.memory)

    def take(self, rows: tuple[Row, ...]) -> None:
        """Rows that were committed."""
        for row in rows:
            self.rows += 1
            _must(row.gid == self.rows, f"row {row.gid} stands where {self.rows} should")
            record = read_record(row)
            self._post(row, record)
            led = self.led.get(row.stream)
            if led is not None:
                came = record.message or self.posted.get(record.took)
                led.take(row, record, came)
                for stored in record.events:
                    self.saw[stored.wire] += 1
                    if stored.wire == "supervisor.down":
                        self.saw[f"down: {json.decode(stored.data)['how']}"] += 1
            if row.stream not in ("root", "system"):
                self._live(row, record)

    def _post(self, row: Row, record: Record) -> None:
        for sent in (*record.sends, *(timer.envelope for timer in record.timers)):
            if sent.to in self.led:
                self.posted[sent.id] = sent
        if record.message is not None and record.message.to in self.led:
            self.posted[record.message.id] = record.message
        for sent in record.sends:
            if sent.to.startswith(("leaf/", "pool/", "virtual/")) and sent.to not in self.memory:
                self.sent.add(sent.id)
        if row.kind not in ("turn", "failed", "parked", "expired"):
            return
        if row.kind == "expired" and record.failure is not None and record.took not in self.sent:
            return  # it was never begun: whoever sent it from outside may send it again
        if record.post is not None and (record.post.stashed or record.post.kept):
            return
        took = record.took or (record.message.id if record.message is not None else "")
        if took:
            self.taken[took] += 1
            _must(self.taken[took] == 1, f"row {row.gid}: {took} is taken a second time")

    def _live(self, row: Row, record: Record) -> None:
        """One actor's own life: no beginning without an end before it."""
        one = self.lived.setdefault(row.stream, Lived())
        _must(
            one.incarnation <= row.incarnation <= one.incarnation + 1,
            f"row {row.gid}: {row.stream} goes from incarnation {one.incarnation} to {row.incarnation}",
        )
        one.incarnation = row.incarnation
        if any(stored.wire == "Began" for stored in record.events):
            _must(not one.begun, f"row {row.gid}: {row.stream} begins again, and has not ended")
            one.begun = True
        if row.kind == "turn" and record.post is not None and record.post.resumed:
            one.begun = one.was
        if row.kind == "failed":
            one.was = one.begun
        if record.life is not None:
            one.life = record.life
            one.begun = record.life == "running"
        elif one.life == "absent" and row.kind in ("turn", "failed"):
            one.life = "running"
        if record.post is not None and record.post.resumed and one.life == "restarting":
            one.life = "running"


def _must(true: bool, what: str) -> None:
    if not true:
        raise Broken(what)
