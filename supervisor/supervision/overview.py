"""The tree as it stands: a fold over the journal, for ``system.tree()`` and ``understudy tree``.

Supervisors and the children that they start are read from the supervisors' own events, so the journal alone is enough. Who keeps a virtual
actor going (a run, an actor at a template) only the definitions know, and its supervisor once it has failed; otherwise it is shown below
the supervisor that its address begins with, else below the root.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, cast

from msgspec import Struct, ValidationError

from ...actors.registry import Directory
from ...protocols.children import ChildKind, ChildSpec, Intensity, Policy
from ...protocols.effects import CALL, THINK, Effect
from ...protocols.errors import Unreadable
from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import ActorLine, Mail, Row
from ..journal.batch import record_of
from .roster import Kid, Listed, Roster, SupervisorState
from .tree import ROOT

_READ = Roster.behaviour
_NOBODY = Roster.__new__(Roster)  # events are applied by no supervisor in particular

ENDED = ("finished", "stopped")
"""Lives of actors that do nothing more. Of children that their supervisor has forgotten nothing is shown then."""

IDLE = 20
"""Virtual actors of one supervisor of whom nothing is open that are shown; the others are counted."""


class TreeNode(Struct, frozen=True, omit_defaults=True):
    """One actor, and those below it.

    Attributes:
        address: who.
        kind: a supervisor, a child that it starts (``worker``, ``member`` of a pool), or ``virtual``: a run, or an actor at a template.
        status: as its supervisor sees it (see ``ChildInfo``); of a virtual one its life (``running``, ``restarting``, ``finished`` …),
            or ``given_up``.
        incarnation: restarts so far.
        mailbox: messages that wait for it.
        oldest: seconds for which the oldest of them has waited; None for none.
        restarts: in the window: of a supervisor those of its children together, else its own.
        limit: how many may be in the window, and how long that is; None where nobody has said yet.
        step: what it does: the calls that are under way, or what it waits for.
        failure: its last one that is of any account, in one line.
        due: seconds until it is restarted, while it waits for that.
        doing: of a supervisor: what it is in the middle of.
        children: of a supervisor, in the order in which they are started; the virtual ones after them.
        idle: further virtual ones of whom nothing is open.
    """

    address: Address
    kind: Literal["supervisor", "worker", "member", "virtual"]
    status: str
    incarnation: int = 0
    mailbox: int = 0
    oldest: float | None = None
    restarts: int = 0
    limit: Intensity | None = None
    step: str = ""
    failure: str = ""
    due: float | None = None
    doing: str = ""
    children: tuple[TreeNode, ...] = ()
    idle: int = 0


def overview(
    lines: Iterable[ActorLine],
    rows: Callable[[Address], Sequence[Row]],
    mail: Iterable[Mail],
    effects: Iterable[Effect],
    now: float,
    directory: Directory | None = None,
    *,
    idle: int = IDLE,
) -> TreeNode:
    """Fold it.

    Args:
        lines: where the actors stand.
        rows: gives the rows of one of them; asked for supervisors only.
        mail, effects: what is open.
        now: journal time.
        directory: what the definitions say, where they are at hand.
        idle: how many idle virtual actors of one supervisor are shown.
    """
    return _Overview(lines, rows, mail, effects, now, directory, idle).tree()


def fold(rows: Iterable[Row], listed: dict[Address, ChildSpec] | None = None) -> SupervisorState | None:
    """The state of a supervisor by its rows; None for an actor that is none. What cannot be read is left out.

    ``listed`` takes in all children that it ever had: those that it has forgotten are not in its state.
    """
    state, found = SupervisorState(), False
    for row in rows:
        for stored in record_of(row).events:
            applier = _READ.appliers.get(stored.wire)
            if applier is None:
                continue
            try:
                event = _READ.read(stored)
            except (Unreadable, ValidationError):
                continue
            state, found = cast("SupervisorState", applier[1](_NOBODY, state, event)), True
            if listed is not None and isinstance(event, Listed):
                listed[event.spec.id] = event.spec
    return state if found else None


class _Overview:
    def __init__(
        self, lines: Iterable[ActorLine], rows: Callable[[Address], Sequence[Row]], mail: Iterable[Mail],
        effects: Iterable[Effect], now: float, directory: Directory | None, idle: int,
    ) -> None:  # fmt: skip
        self.lines = {line.address: line for line in lines if line.address != SYSTEM}
        self.rows, self.now, self.directory, self.idle = rows, now, directory, idle
        self.waiting: Counter[Address] = Counter()
        self.oldest: dict[Address, float] = {}
        for one in mail:
            to = one.envelope.to
            self.waiting[to] += 1
            self.oldest[to] = min(self.oldest.get(to, now), one.envelope.at or now)
        self.effects: dict[Address, list[Effect]] = {}
        for effect in effects:
            self.effects.setdefault(effect.stream, []).append(effect)
        self.states: dict[Address, SupervisorState] = {}
        self.once: dict[Address, tuple[Address, ChildKind]] = {}
        """Whom supervisors have started and forgotten: whose child it was, and what."""
        self._supervisors()

    def tree(self) -> TreeNode:
        below: dict[Address, list[Address]] = {}
        kept = {child for state in self.states.values() for child in state.kids}
        kept |= {child for child in self.once if self._life(child) in ENDED and not self._open(child)}
        for address in {*self.lines, *self.waiting}:
            if address not in kept and address not in (ROOT, SYSTEM) and not self._never_was(address):
                below.setdefault(self._above(address), []).append(address)
        return self._supervisor(ROOT, None, below)

    def _supervisors(self) -> None:
        """Fold the streams of all supervisors: those that the definitions name, and those that others start."""
        mounted = () if self.directory is None else self.directory.mounts()
        look = {ROOT, *(Address(mount.template) for mount in mounted if mount.actor.supervises)}
        look |= {address for address in self.lines if "/" not in address}
        seen: set[Address] = set()
        while look:
            address = look.pop()
            seen.add(address)
            listed: dict[Address, ChildSpec] = {}
            state = fold(self.rows(address), listed) if address in self.lines else None
            if state is not None:
                self.states[address] = state
                gone = (spec for spec in listed.values() if spec.id not in state.kids and spec.kind != "supervisor")
                self.once.update((spec.id, (address, spec.kind)) for spec in gone)
                look |= {kid.spec.id for kid in state.kids.values() if kid.spec.kind == "supervisor"} - seen
            elif any(mount.template == address and mount.actor.supervises for mount in mounted):
                self.states[address] = SupervisorState()
        self.states.setdefault(ROOT, SupervisorState())

    def _above(self, address: Address) -> Address:
        if address in self.once:
            return self.once[address][0]
        mount = self.directory.find(address) if self.directory is not None else None
        if mount is not None and mount.supervisor:
            return mount.supervisor
        for supervisor, state in self.states.items():
            if address in state.streaks or address in state.given_up:
                return supervisor
        parts = address.split("/")
        heads = ("/".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
        return next((Address(head) for head in heads if head in self.states), ROOT)

    def _supervisor(self, address: Address, kid: Kid | None, below: dict[Address, list[Address]]) -> TreeNode:
        state = self.states.get(address, SupervisorState())
        policy = state.policy or Policy()
        clock = self.now - state.paused
        children = [self._child(kid, state, below) for kid in state.kids.values()]
        virtual = [a for a in sorted(below.get(address, ())) if a not in self.states]
        others = [self._supervisor(a, None, below) for a in sorted(below.get(address, ())) if a in self.states]
        busy = [a for a in virtual if self._busy(a, state)]
        idle = [a for a in virtual if a not in set(busy)]
        shown = sorted((*busy, *idle[: self.idle]))
        doing = ""
        if state.job is not None:
            left = len(state.job.stop) + len(state.job.start) + bool(state.job.now)
            doing = f"{state.job.goal}, {left} to go" if left else state.job.goal
        return self._node(
            address, "supervisor", kid.status if kid is not None else self._life(address),
            kid=kid,
            restarts=sum(clock - at <= policy.intensity.within for at in state.window),
            limit=policy.intensity if state.policy is not None else None,
            doing=doing,
            children=(*children, *others, *(self._virtual(a, state) for a in shown)),
            idle=max(0, len(idle) - self.idle),
        )  # fmt: skip

    def _child(self, kid: Kid, above: SupervisorState, below: dict[Address, list[Address]]) -> TreeNode:
        if kid.spec.kind == "supervisor":
            return self._supervisor(kid.spec.id, kid, below)
        clock = self.now - above.paused
        limit = kid.spec.budget or (None if kid.spec.counts else (above.policy or Policy()).intensity)
        within = limit.within if limit is not None else 0.0
        own = sum(clock - at <= within for at in kid.restarts)
        return self._node(kid.spec.id, kid.spec.kind, kid.status, kid=kid, restarts=own, limit=limit)

    def _virtual(self, address: Address, above: SupervisorState) -> TreeNode:
        policy = above.policy or Policy()
        status = "given_up" if address in above.given_up else self._life(address)
        own = above.restarts.get(address, ())
        failure = above.given_up.get(address)
        streak = above.streaks.get(address)
        due = (
            streak.until - self.now
            if streak is not None and status == "restarting" and streak.until > self.now
            else None
        )
        return self._node(
            address, self.once[address][1] if address in self.once else "virtual", status,
            restarts=sum(self.now - at <= policy.intensity.within for at in own),
            limit=policy.intensity if own else None,
            failure="" if failure is None else str(failure),
            due=due,
        )  # fmt: skip

    def _node(
        self, address: Address, kind: Literal["supervisor", "worker", "member", "virtual"], status: str, *,
        kid: Kid | None = None, restarts: int = 0, limit: Intensity | None = None, doing: str = "",
        children: tuple[TreeNode, ...] = (), idle: int = 0, failure: str = "", due: float | None = None,
    ) -> TreeNode:  # fmt: skip
        line = self.lines.get(address)
        if kid is not None:
            if kid.failure is not None and kid.status in ("waiting", "given_up", "ended", "starting", "down"):
                failure = str(kid.failure)
            if kid.status == "waiting" and kid.streak is not None:
                due = max(0.0, kid.streak.until - self.now)
        since = self.oldest.get(address)
        return TreeNode(
            address, kind, status, line.incarnation if line is not None else 0, self.waiting[address],
            None if since is None else max(0.0, self.now - since), restarts, limit, self._step(address), failure, due,
            doing, children, idle,
        )  # fmt: skip

    def _life(self, address: Address) -> str:
        line = self.lines.get(address)
        return line.life if line is not None else "absent"

    def _never_was(self, address: Address) -> bool:
        """Whether there is nothing but mail that was refused."""
        return self._life(address) == "absent" and not self.waiting[address]

    def _busy(self, address: Address, above: SupervisorState) -> bool:
        """Whether there is anything to be said about a virtual actor."""
        return self._open(address) or address in above.given_up or self._life(address) == "restarting"

    def _open(self, address: Address) -> bool:
        return bool(self.waiting[address]) or address in self.effects

    def _step(self, address: Address) -> str:
        return "; ".join(_said(effect, self.now) for effect in self.effects.get(address, ()))


def _said(effect: Effect, now: float) -> str:
    what = {CALL: f"calls {effect.name}", THINK: f"asks {effect.name}"}.get(effect.verb, effect.name)
    if effect.state == "asking" and effect.question is not None:
        return f"waits for a person: {effect.question.text}"
    if effect.state == "in_doubt":
        return f"in doubt: {effect.name}"
    if effect.state == "waiting" and effect.due is not None:
        return f"{what} again in {max(0.0, effect.due - now):.1f} s"
    return what if effect.attempt <= 1 else f"{what}, attempt {effect.attempt}"
