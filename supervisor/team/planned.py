"""A plan, step by step: which steps may begin, what each is told, what is left when some fail.

    Planned -> each step whose earlier ones are over: offered to its worker -> its result -> the steps after it -> ... -> Result

Deterministic: what comes next follows from the plan and from what is over, in the plan's order. Every step that is over is an event,
so after a crash it goes on with those that are not. A step that fails is put before a person; one that is given up for lost, or is
optional, leaves the others what they can do without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw

from ...actors.actor import applies, handles
from ...actors.drawing import exhausted
from ...actors.turn import Turn
from ...protocols.approvals import Answer, Question
from ...protocols.codec import NULL, decode, encode
from ...protocols.decisions import Decision
from ...protocols.decisions import again as tries_again
from ...protocols.effects import Effect
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.messages import Message
from ...protocols.model import Usage
from ...protocols.plans import Plan, Step
from ...protocols.tasks import Part, Result, Task, changed_task
from ..supervision.definitions import Supervisor
from .checking import REFERENCE
from .events import Lifted, Overspent, Planned, Returned, StepChanged, StepOver, TeamState, Undoing
from .offering import Offering, without
from .routing import able
from .undoing import KeepCalls, PlanUndone, Undo, undoer

STEP_TAKES: tuple[Decision, ...] = ("retry", "change", "replace", "result", "skip", "stop")
"""What the questions of a team about a step take; ``replace`` where there is another worker."""

STEP_ALONE: tuple[Decision, ...] = ("retry", "change", "result", "skip", "stop")
"""The same where there is none."""

BUDGET = "$"
"""What a question about money and tokens is known by; no step is called that."""

TURN = 300_000
"""Bytes of tasks that are sent in one turn, whose row has a bound; the rest goes in the next ones."""

EACH = 1_200
"""Bytes of a row that a step takes besides its task, at most."""

TASK_BYTES = 250_000
"""The largest task of a step; with what came before it may become larger, and then it fails."""

ALL_BYTES = 300_000
"""Bytes of all steps' results together: the row that ends the plan holds them up to three times."""


class GoOn(Message, wire="team.go_on"):
    """Begin more steps: not all of them fitted into one row."""


class StepOverdue(Message, wire="team.step_overdue"):
    """The time of a step may be over: set anew by a team that was restarted, whose asks ended with the life before."""

    step: str
    by: str
    tries: int


class Planning(Offering):
    """Takes the steps of a plan."""

    undoes = False
    """Whether there is somebody who undoes calls; set where the tree is put together."""

    def person(
        self, turn: Turn[TeamState], work: str, text: str, failure: Failure | None, options: tuple[str, ...]
    ) -> None:
        """Ask a person about a step."""
        takes = STEP_TAKES if options else STEP_ALONE
        turn.escalate(
            Question("escalation", text, failure=failure, options=options, takes=takes), topic="step", tag=work
        )

    def close(self, turn: Turn[TeamState], result: Result) -> None:
        """Answer the task."""
        raise NotImplementedError

    def cut_off(self, turn: Turn[TeamState], failure: Failure) -> None:
        """It is over before its end."""
        raise NotImplementedError

    # -- going on -----------------------------------------------------------------------------------------------

    def begin(self, turn: Turn[TeamState], plan: Plan, by: str) -> None:
        """Take a plan that was checked."""
        turn.emit(Planned(plan, by, turn.provenance))
        self.go_on(turn, plan.steps)

    @handles(GoOn)
    def more(self, turn: Turn[TeamState], msg: GoOn) -> None:
        if turn.state.plan is not None:
            self.go_on(turn, turn.state.plan.steps)

    def go_on(self, turn: Turn[TeamState], steps: Iterable[Step]) -> None:
        """Begin those of these steps whose turn it is, skip those that cannot be done any more, and end when none is left."""
        plan = turn.state.plan
        assert plan is not None
        looked, made = list(steps), 0
        for step in looked:  # grows: what is skipped may decide about the ones after it
            state = turn.state
            if step.name in state.parts or step.name in state.runs or step.name in state.queued:
                continue
            if made > TURN:
                turn.tell(turn.me, GoOn())
                break
            missing = next((name for name in step.after if self._stops(state, plan, name)), "")
            if missing:
                part = state.parts[missing]
                why = part.reason if part.status == "skipped" else f"{missing} {_word(part)}"
                self._over(turn, step, Part("skipped", reason=why))
                looked += _after(plan, step.name)
                made += EACH
            elif all(name in state.parts for name in step.after):
                if self._spent(turn):
                    break
                size = self._size(turn.state, step)
                made += size + EACH
                if size > TASK_BYTES:
                    why = f"with what the steps before it gave its task has {size:,} bytes, more than {TASK_BYTES:,}"
                    self._over(turn, step, Part("failed", reason=why))
                    looked += _after(plan, step.name)
                else:
                    self.offer(turn, step.name, (step.worker,) if step.worker else able(self.team, step.needs))
        if len(turn.state.parts) == len(plan.steps):
            self._end(turn, plan)

    def watch_time(self, turn: Turn[TeamState]) -> None:
        """Steps that are with workers, and say how long they may take, have what is left of that."""
        for work, has in turn.state.work.items():
            step = self.step(turn.state, work)
            if step is not None and step.within is not None:
                turn.remind(StepOverdue(work, has.name, has.tries), at=has.at + step.within)

    @handles(StepOverdue)
    def too_long(self, turn: Turn[TeamState], msg: StepOverdue) -> None:
        has, step = turn.state.work.get(msg.step), self.step(turn.state, msg.step)
        if has is None or step is None or step.within is None or (has.name, has.tries) != (msg.by, msg.tries):
            return  # it is over, or somebody else has it by now
        at = self.place_of(turn, has, msg.step)
        late = Failure("retry_later", "timeout", f"no answer from {at} within {step.within:g} s", where=at)
        self.dismiss(turn, at, has, late)
        self.step_returned(turn, msg.step, has.name, has.tries, Result("failed", reason=late.message, failure=late))

    def step_returned(self, turn: Turn[TeamState], work: str, name: str, tries: int, result: Result) -> None:
        """A worker came back from a step."""
        has, step = turn.state.work.get(work), self.step(turn.state, work)
        if step is None or has is None or (has.name, has.tries) != (name, tries):
            return  # somebody else has it by now
        at = self.place_of(turn, has, work)
        turn.emit(Returned(name, result, work, turn.provenance))
        self.free(turn, work)
        if result.status == "done":
            self._done(turn, step, result.output, at)
        elif result.failure is not None and exhausted(turn, result.failure):
            self.cut_off(turn, result.failure)  # nothing that is left could be done either
        elif step.optional:
            self._failed(turn, step, at, result.reason)
        else:
            text = f"{name} can't complete step {work!r}: {result.reason}. It should: {short(step.objective)}"
            others = tuple(n for n in able(self.team, step.needs) if n != name)
            self.person(turn, work, text, result.failure, others)

    def step_decided(self, turn: Turn[TeamState], work: str, answer: Answer | None, why: Failure | None) -> None:
        """A person, or the deadline of the question, decided about a step."""
        if work == BUDGET:
            self._decided_spending(turn, answer, why)
            return
        step = self.step(turn.state, work)
        if step is None or work in turn.state.parts or work in turn.state.work:
            return
        if answer is None:
            self._failed(turn, step, "", why.message if why is not None else "nobody answered")
        elif answer.decision in ("stop", "reject"):
            self._failed(turn, step, answer.by, f"{answer.by}: {answer.reason}")
        elif answer.decision == "skip":
            self._over(turn, step, Part("skipped", answer.by, f"{answer.by}: {answer.reason or 'go on without it'}"))
            self.go_on(turn, _after(turn.state.plan, work))
        elif tries_again(answer.decision) or answer.decision == "change":
            if answer.decision == "change":
                before = turn.state.changed.get(work) or Task(step.objective, step.inputs)
                said = bytes(answer.value).decode() if turn.context.provenance is not None else ""
                turn.emit(StepChanged(work, changed_task(before, answer.value), answer.by, said))
            self.offer(turn, work, (step.worker,) if step.worker else able(self.team, step.needs))
        elif answer.decision != "result" and (name := named(answer.value, self.names)) is not None:
            self.offer(turn, work, (name,))
        else:
            self._done(turn, step, answer.value, answer.by, given=True)

    def asked_about(self, state: TeamState, effect: Effect) -> Step | None:
        """The step that a question is about; None where it is about the task, or about money."""
        tag: Any = decode(effect.tag, object)
        return self.step(state, tag) if isinstance(tag, str) and tag != BUDGET else None

    def consider_step(self, state: TeamState, step: Step, answer: Answer) -> None:
        """Refuse a change that is no task or becomes too large, and a result that does not fit whoever was to give it."""
        if answer.decision == "change":
            changed = changed_task(self._told(state, step), answer.value)
            size = self._size(state.evolve(changed={**state.changed, step.name: changed}), step)
            if size > TASK_BYTES:
                raise ValueError(
                    f"with what the steps before it gave, its task has {size:,} bytes, more than {TASK_BYTES:,}"
                )
        elif answer.decision == "result":
            fits_worker(answer.value, self.team, (step.worker,) if step.worker else able(self.team, step.needs))

    # -- what a step is told ------------------------------------------------------------------------------------

    def step_task(self, state: TeamState, step: Step) -> Task:
        """The task of a step: on behalf of whoever the whole is, with what the steps before it gave."""
        given = {name: state.outputs[name] for name in step.after if name in state.outputs}
        told, texts = self._told(state, step), self._texts(state, step)
        objective = REFERENCE.sub(lambda m: texts.get(m[1], m[0]), told.objective)
        whole = state.task
        return Task(objective, {**told.inputs, **given}, whole.user, whole.tenant, whole.session, whole.tags)

    @staticmethod
    def _told(state: TeamState, step: Step) -> Task:
        """Its words and inputs, as the plan or a person gave them."""
        return state.changed.get(step.name) or Task(step.objective, step.inputs)

    @staticmethod
    def _texts(state: TeamState, step: Step) -> dict[str, str]:
        """What stands in its words for each step before it that is over."""
        return {
            name: as_text(state.outputs[name]) if name in state.outputs else f"(nothing: {_word(state.parts[name])})"
            for name in step.after
            if name in state.parts
        }

    def _size(self, state: TeamState, step: Step) -> int:
        """Bytes of its task, at least; a plan that names a long result a thousand times is not written out to be counted."""
        texts = self._texts(state, step)
        lengths = {name: len(text) for name, text in texts.items()}
        words = sum(lengths.get(name, 0) for name in REFERENCE.findall(self._told(state, step).objective))
        return words if words > TASK_BYTES else len(encode(self.step_task(state, step)))

    # -- the end ------------------------------------------------------------------------------------------------

    def left(self, state: TeamState, result: Result) -> Result:
        """A result that is none, with what there is of the plan."""
        if state.plan is None:
            return result
        parts = {
            step.name: state.parts.get(step.name, Part("skipped", reason=result.reason)) for step in state.plan.steps
        }
        return msgspec.structs.replace(result, output=_together(state.outputs), parts=parts)

    def _end(self, turn: Turn[TeamState], plan: Plan) -> None:
        state = turn.state
        optional = {step.name for step in plan.steps if step.optional or _passed(state.parts[step.name])}
        missing = {name: part for name, part in state.parts.items() if part.status != "done"}
        parts = {step.name: state.parts[step.name] for step in plan.steps}
        words = "; ".join(f"{name} {_word(part)}" for name, part in missing.items())
        reason = f"{len(missing)} of {len(plan.steps)} steps have no result: {short(words)}" if missing else ""
        if set(missing) - optional or plan.gives in missing:
            failure = Failure("abandon", "steps_failed", reason, where=turn.me)
            self._give_up(turn, self.left(state, Result("cannot", reason=reason, failure=failure)))
            return
        if self.reports(turn):
            turn.tell(undoer(turn.me), KeepCalls())
        output = state.outputs[plan.gives] if plan.gives else _together(state.outputs)
        self.close(turn, Result("done", output, reason, parts=parts))

    def reports(self, turn: Turn[TeamState]) -> bool:
        """Whether the calls of this plan are undone should it be given up. A plan within a step of another one is a part of that."""
        return self.undoes and turn.state.plan is not None and not turn.context.undo

    def undo(self, turn: Turn[TeamState], why: str, *, answers: bool) -> None:
        """Have what was done for the plan undone."""
        if self.reports(turn):
            turn.tell(undoer(turn.me), Undo(short(why), answers))

    def _give_up(self, turn: Turn[TeamState], result: Result) -> None:
        if not self.reports(turn):
            self.close(turn, result)
            return
        turn.emit(Undoing(result))
        self.undo(turn, result.reason, answers=True)

    @handles(PlanUndone)
    def was_undone(self, turn: Turn[TeamState], msg: PlanUndone) -> None:
        if turn.state.closing is not None:
            self.close(turn, msgspec.structs.replace(turn.state.closing, undone=msg.undone))

    def _done(self, turn: Turn[TeamState], step: Step, output: Raw, by: str, *, given: bool = False) -> None:
        size = sum(len(known) for known in turn.state.outputs.values()) + (len(output) if given else 0)
        if size > ALL_BYTES:
            why = f"the results of the plan's steps have {size:,} bytes together, more than {ALL_BYTES:,}: keep them elsewhere"
            self._failed(turn, step, by, why)
            return
        self._over(turn, step, Part("done", by), output if given else NULL)
        self.go_on(turn, _after(turn.state.plan, step.name))

    def _failed(self, turn: Turn[TeamState], step: Step, by: str, why: str) -> None:
        self._over(turn, step, Part("failed", by, short(why)))
        self.go_on(turn, _after(turn.state.plan, step.name))

    def _over(self, turn: Turn[TeamState], step: Step, part: Part, output: Raw = NULL) -> None:
        plan = turn.state.plan
        assert plan is not None
        turn.emit(StepOver(step.name, part, len(turn.state.parts) + 1, len(plan.steps), output))

    @staticmethod
    def _stops(state: TeamState, plan: Plan, name: str) -> bool:
        """Whether the steps after this one cannot be done."""
        part = state.parts.get(name)
        if part is None or part.status == "done" or _passed(part):
            return False
        return not next(step.optional for step in plan.steps if step.name == name)

    # -- what it may spend --------------------------------------------------------------------------------------

    def held_back(self, turn: Turn[TeamState], work: str) -> bool:
        """A step that never began, where all that may be spent is: steps that waited for a place must not go over it either."""
        return bool(work) and work not in turn.state.runs and self._spent(turn)

    def go_without(self, turn: Turn[TeamState], step: Step, by: Address, why: str) -> None:
        self._failed(turn, step, by, why)

    def _spent(self, turn: Turn[TeamState]) -> bool:
        """Whether nothing more may begin; then a person is asked, once."""
        limits, state = self.team.plans, turn.state
        if (limits.tokens is None and limits.usd is None) or state.lifted:
            return False
        if state.paused:
            return True
        usage, usd = sum((r.usage for r in state.spent), Usage()), sum(r.cost for r in state.spent)
        tokens = usage.input_tokens + usage.output_tokens
        if limits.tokens is not None and tokens >= limits.tokens:
            why = f"the plan has taken {tokens:,} tokens of {limits.tokens:,}"
        elif limits.usd is not None and usd >= limits.usd:
            why = f"the plan has spent ${usd:.4f} of ${limits.usd:.4f}"
        else:
            return False
        turn.emit(Overspent(why))
        self._ask_to_spend(turn)
        return True

    def _ask_to_spend(self, turn: Turn[TeamState]) -> None:
        state = turn.state
        assert state.plan is not None
        failure = Failure("abandon", "budget_exhausted", state.paused, where=turn.me)
        text = f"{state.paused}, with {len(state.parts)} of its {len(state.plan.steps)} steps over. Go on (approve) or stop (reject)?"
        question = Question("escalation", text, failure=failure, takes=("approve", "reject"))
        turn.escalate(question, topic="plan", tag=BUDGET)

    def _decided_spending(self, turn: Turn[TeamState], answer: Answer | None, why: Failure | None) -> None:
        plan = turn.state.plan
        if plan is None or not turn.state.paused or turn.state.lifted:
            return
        reason = turn.state.paused
        turn.emit(Lifted(answer.by if answer is not None else "the deadline"))
        if answer is None or answer.decision == "reject":
            for step in plan.steps:
                state = turn.state
                if step.name not in state.parts and step.name not in state.runs:
                    if step.name in state.queued:
                        self.put_back(turn, step.name)
                    self._over(turn, step, Part("skipped", reason=reason))
        self.go_on(turn, plan.steps)

    def take_up_plan(self, turn: Turn[TeamState]) -> None:
        """After a restart: ask anew what was asked of people, and begin what may begin."""
        state = turn.state
        assert state.plan is not None
        if state.paused and not state.lifted:
            self._ask_to_spend(turn)
        self.watch_time(turn)
        for step in state.plan.steps:
            idle = step.name not in state.parts and step.name not in state.work and step.name not in state.queued
            if idle and step.name in state.runs:
                text = f"Step {step.name!r} was stopped by a restart of {turn.me}. Let it try again?"
                self.person(turn, step.name, text, None, self.names)
        self.go_on(turn, state.plan.steps)

    # -- what is remembered -------------------------------------------------------------------------------------

    @applies(Planned)
    def was_planned(self, state: TeamState, event: Planned) -> TeamState:
        return state.evolve(plan=event.plan, plan_from=event.provenance)

    @applies(StepOver)
    def step_is_over(self, state: TeamState, event: StepOver) -> TeamState:
        outputs, sources = state.outputs, state.outputs_from
        if event.part.status == "done" and event.step not in outputs:  # a person gave it
            outputs, sources = {**outputs, event.step: event.output}, without(sources, event.step)
        elif event.part.status != "done" and event.step in outputs:
            outputs = without(outputs, event.step)
        parts = {**state.parts, event.step: event.part}
        work = without(state.work, event.step)
        return state.evolve(parts=parts, outputs=outputs, work=work, outputs_from=sources)

    @applies(StepChanged)
    def step_was_changed(self, state: TeamState, event: StepChanged) -> TeamState:
        said = (*state.said, event.said) if event.said else state.said
        return state.evolve(changed={**state.changed, event.step: event.task}, said=said)

    @applies(Overspent)
    def has_overspent(self, state: TeamState, event: Overspent) -> TeamState:
        return state.evolve(paused=event.why)

    @applies(Undoing)
    def is_undoing(self, state: TeamState, event: Undoing) -> TeamState:
        return state.evolve(closing=event.result)

    @applies(Lifted)
    def was_lifted(self, state: TeamState, event: Lifted) -> TeamState:
        return state.evolve(lifted=True)


def as_text(output: Raw) -> str:
    """A result as it stands in a sentence."""
    value = msgspec.json.decode(output)
    return value if isinstance(value, str) else bytes(output).decode()


def fits_worker(value: Raw, team: Supervisor, names: tuple[str, ...]) -> None:
    """Refuse a result that none of these workers could give (of all of them, where none of these is one). Plain text may be anything: a
    team has no type of its own. Raises msgspec.DecodeError, the last one's."""
    outputs = [w.output for w in team.workers if w.name in names] or [w.output for w in team.workers]
    if str in outputs:
        return
    wrong: msgspec.DecodeError | None = None
    for form in outputs:
        try:
            decode(value, form)
        except msgspec.DecodeError as error:
            wrong = error
        else:
            return
    if wrong is not None:
        raise wrong


def named(value: Raw, names: tuple[str, ...]) -> str | None:
    """The worker whom an answer names; None for none."""
    said = msgspec.json.decode(value)
    return said if isinstance(said, str) and said in names else None


def short(text: str) -> str:
    """At most 300 characters."""
    return text if len(text) <= 300 else text[:297] + "..."


def _after(plan: Plan | None, name: str) -> list[Step]:
    return [step for step in plan.steps if name in step.after] if plan is not None else []


def _passed(part: Part) -> bool:
    """Whether a person said to go on without it."""
    return part.status == "skipped" and bool(part.by)


def _word(part: Part) -> str:
    return (
        f"{'failed' if part.status == 'failed' else 'was skipped'} ({part.reason})"
        if part.status != "done"
        else "is done"
    )


def _together(outputs: dict[str, Raw]) -> Raw:
    return Raw(encode(outputs))
