"""Children by name: started, stopped, restarted, deleted and looked at while the supervisor runs.

``system.supervisor("desk").stop("ledger")`` asks its supervisor in these messages; anybody inside may, too. What cannot be done is
refused with a code, and leaves the tree as it was:

    already_started, already_present (it is known, and does not run: restart or delete it), running, restarting (it waits for its
    backoff), not_found, max_children, failed_to_start, stopped (the supervisor itself was, meanwhile)
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ...actors.actor import handles
from ...actors.outcome import Later
from ...actors.turn import Turn
from ...protocols.approvals import Answer
from ...protocols.children import ChildKind, ChildSpec, RestartType, check_spec
from ...protocols.errors import DefinitionError
from ...protocols.failures import Failure
from ...protocols.ids import Address, address
from ...protocols.messages import Request
from .jobs import RUNS, Jobs
from .roster import Ended, Job, Kid, Listed, Resolved, Status, SupervisorState


class ChildInfo(Struct, frozen=True, omit_defaults=True):
    """One child, as its supervisor sees it.

    Attributes:
        id: its address.
        kind: actor, supervisor, or member of a pool.
        status: ``down`` (not started yet, or stopped with others), ``starting``, ``running``, ``stopping``, ``waiting`` (for its backoff),
            ``ended`` (and not restarted), ``given_up`` (somebody above, or a person, is asked).
        restart, significant: as in its spec.
        incarnation: restarts so far, of the actor.
        since: journal time of the status.
        due: journal time at which it is restarted, while it waits.
        failure: its last one.
    """

    id: Address
    kind: ChildKind
    status: Status
    restart: RestartType
    significant: bool = False
    incarnation: int = 0
    since: float = 0.0
    due: float | None = None
    failure: Failure | None = None


class ChildCount(Struct, frozen=True):
    """How many children there are.

    Attributes:
        specs: known, whether they run or not.
        active: something runs of them.
        supervisors, workers: of those known.
    """

    specs: int
    active: int
    supervisors: int
    workers: int


class StartChild(Request[ChildInfo], wire="supervisor.start_child"):
    """Start a member of a pool, an actor at a template, or a child of the definition that was deleted. It then is a child like the others.

    ``restart``, ``significant``: where it differs from what its definition says.
    """

    child: Address
    restart: RestartType | None = None
    significant: bool | None = None


class StopChild(Request[None], wire="supervisor.stop_child"):
    """End a child in order. One that does not run stays so."""

    child: Address


class RestartChild(Request[ChildInfo], wire="supervisor.restart_child"):
    """Start a child that has ended."""

    child: Address


class DeleteChild(Request[None], wire="supervisor.delete_child"):
    """Forget a child that has ended."""

    child: Address


class WhichChildren(Request[tuple[ChildInfo, ...]], wire="supervisor.which_children"):
    """All children, in start order."""


class CountChildren(Request[ChildCount], wire="supervisor.count_children"):
    """How many there are."""


class GetChildSpec(Request[ChildSpec], wire="supervisor.get_child_spec"):
    """What is known of how a child is to be kept going."""

    child: Address


class Live(Jobs):
    """Takes the requests about children by name."""

    @handles(StartChild)
    def start_child(self, turn: Turn[SupervisorState], msg: StartChild) -> ChildInfo | Later[ChildInfo]:
        if turn.state.job is not None:
            return turn.stash()
        later = turn.later(msg)
        kid = turn.state.kids.get(msg.child)
        if kid is not None:
            code = "already_started" if kid.status in (*RUNS, "waiting") else "already_present"
            return self._no(turn, later, code, f"{msg.child} is a child of {turn.me} already ({kid.status})")
        defined = next((spec for spec in self.specs if spec.id == msg.child), None)
        spec, most = (defined, None) if defined is not None else self.prototype(msg.child)
        try:
            address(msg.child)
        except ValueError:
            spec = None
        if spec is None:
            why = f"{turn.me} has no child and no template {msg.child!r}"
            return self._no(turn, later, "not_found", why)
        there = sum(kid.spec.pool == spec.pool for kid in turn.state.kids.values()) if spec.pool else 0
        if most is not None and there >= most:
            return self._no(turn, later, "max_children", f"{spec.pool} has {there} members, which is the limit")
        changes = {"restart": msg.restart, "significant": msg.significant}
        spec = msgspec.structs.replace(spec, id=msg.child, **{k: v for k, v in changes.items() if v is not None})
        try:
            check_spec(spec, self.policy)
        except DefinitionError as error:
            return self._no(turn, later, "bad_spec", str(error))
        if (first := self.held_by(turn.state, spec)) is not None:
            return self._no(
                turn, later, "restarting", f"{msg.child} can be started when {first} is, which waits for its backoff"
            )
        turn.emit(Listed(spec, live=True))
        self.begin(turn, Job("add", start=((msg.child,),), child=msg.child, later=later.id))
        return later

    @handles(RestartChild)
    def restart_child(self, turn: Turn[SupervisorState], msg: RestartChild) -> ChildInfo | Later[ChildInfo]:
        later, kid = self._known(turn, msg)
        if kid is None:
            return later
        if kid.status in RUNS:
            return self._no(turn, later, "running", f"{msg.child} runs", "stop it first")
        if kid.status == "waiting":
            return self._no(turn, later, "restarting", f"{msg.child} is being restarted, and waits for its backoff")
        if (first := self.held_by(turn.state, kid.spec)) is not None:
            return self._no(
                turn, later, "restarting", f"{msg.child} is started with {first}, which waits for its backoff"
            )
        self._answered_otherwise(turn, kid, "was restarted by name")
        self.begin(turn, Job("add", start=((msg.child,),), child=msg.child, later=later.id))
        return later

    @handles(StopChild)
    def stop_child(self, turn: Turn[SupervisorState], msg: StopChild) -> Later[None] | None:
        later, kid = self._known(turn, msg)
        if kid is None:
            return later
        if kid.status in RUNS:
            job = Job("stop", stop=((msg.child,),), child=msg.child, later=later.id, since=turn.now, final=True)
            self.begin(turn, job)
            return later
        if kid.status != "ended":
            self._answered_otherwise(turn, kid, "was stopped by name")
            self.end(turn, kid, self.was_stopped(kid))
            turn.emit(Ended(msg.child, "stopped", turn.now))
            others = self.held_up_by(turn.state, kid)
            if kid.spec.restart == "temporary" or kid.spec.pool:
                self.forget(turn, kid)
            if others:
                self.begin(turn, Job("restart", start=others, child=msg.child))
        turn.reply(later, None)
        return later

    @handles(DeleteChild)
    def delete_child(self, turn: Turn[SupervisorState], msg: DeleteChild) -> Later[None] | None:
        later, kid = self._known(turn, msg)
        if kid is None:
            return later
        if kid.status in RUNS:
            return self._no(turn, later, "running", f"{msg.child} runs", "stop it first")
        if kid.status in ("waiting", "given_up"):
            return self._no(turn, later, "restarting", f"{msg.child} is not over yet ({kid.status})", "stop it first")
        if kid.status == "down":  # it was to start with others, and its mail waits for that
            self.end(turn, kid, self.was_stopped(kid))
        self.forget(turn, kid)
        turn.reply(later, None)
        return later

    @handles(WhichChildren)
    def which_children(self, turn: Turn[SupervisorState], msg: WhichChildren) -> tuple[ChildInfo, ...]:
        return tuple(info(kid) for kid in turn.state.kids.values())

    @handles(CountChildren)
    def count_children(self, turn: Turn[SupervisorState], msg: CountChildren) -> ChildCount:
        kids = turn.state.kids.values()
        supervisors = sum(kid.spec.kind == "supervisor" for kid in kids)
        return ChildCount(len(kids), sum(kid.status in RUNS for kid in kids), supervisors, len(kids) - supervisors)

    @handles(GetChildSpec)
    def get_child_spec(self, turn: Turn[SupervisorState], msg: GetChildSpec) -> ChildSpec | Later[ChildSpec]:
        kid = turn.state.kids.get(msg.child)
        if kid is None:
            return self._no(turn, turn.later(msg), "not_found", f"{turn.me} has no child {msg.child!r}")
        return kid.spec

    # -- what comes of it ---------------------------------------------------------------------------------------

    def answered(self, turn: Turn[SupervisorState], job: Job) -> None:
        later, kid = Later[Any](job.later), turn.state.kids.get(job.child)
        if job.goal == "stop":
            turn.reply(later, None)
        elif kid is None:  # it said that there is nothing to do, and nobody keeps its spec
            spec = next((spec for spec in self.specs if spec.id == job.child), None) or self.prototype(job.child)[0]
            kind, restart = (spec.kind, spec.restart) if spec is not None else ("worker", "temporary")
            gone = ChildInfo(job.child, kind, "ended", restart)
            turn.reply(later, gone)
        else:
            turn.reply(later, info(kid))

    def not_added(self, turn: Turn[SupervisorState], kid: Kid, failure: Failure) -> None:
        """A child that was started by name failed at it: whoever asked is told, and nothing else has changed."""
        job, child = turn.state.job, kid.spec.id
        assert job is not None
        why = Failure(
            "abandon", "failed_to_start", f"{child} failed to start: {failure.message}", where=child, cause=failure
        )
        self.end(turn, kid, why)
        if kid.live and kid.incarnation < 0:
            self.forget(turn, kid)
        else:
            turn.emit(Ended(child, failure.code, turn.now, failure))
        turn.refuse(Later[Any](job.later), why)
        self.drop_job(turn)
        for unit in job.start:
            self.also_start(turn, unit, None)

    def _known(
        self, turn: Turn[SupervisorState], msg: RestartChild | StopChild | DeleteChild
    ) -> tuple[Later[Any], Kid | None]:
        """The child that a request is about. None where there is none, or where the request waits until the job is over."""
        if turn.state.job is not None:
            return turn.stash(), None
        later, kid = turn.later(msg), turn.state.kids.get(msg.child)
        if kid is None:
            self._no(turn, later, "not_found", f"{turn.me} has no child {msg.child!r}")
        return later, kid

    def _answered_otherwise(self, turn: Turn[SupervisorState], kid: Kid, how: str) -> None:
        """Somebody decided about a child by name while others were asked about it."""
        child = kid.spec.id
        if child not in turn.state.given_up:
            return
        turn.emit(Resolved(child, Answer("", "approve", by="somebody", reason=how)))
        self.withdraw(turn, child)

    def _no(self, turn: Turn[SupervisorState], later: Later[Any], code: str, why: str, hint: str = "") -> Later[Any]:
        turn.refuse(later, Failure("change_arguments", code, why, hint, where=turn.me))
        return later


def info(kid: Kid) -> ChildInfo:
    """A child as others see it."""
    due = kid.streak.until if kid.status == "waiting" and kid.streak is not None else None
    spec = kid.spec
    return ChildInfo(
        spec.id, spec.kind, kid.status, spec.restart, spec.significant, max(0, kid.incarnation), kid.since, due,
        kid.failure,
    )  # fmt: skip
