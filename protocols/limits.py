"""Bounds of one agent, as data."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, omit_defaults=True):
    """Bounds of one agent. No configuration means these, not none.

    Attributes:
        steps: model calls in one run.
        calls: tool calls in one run.
        repeats: how often the same call with the same arguments runs; the next one forces a new plan, one more goes to a person.
        cycles: how often a pair of calls may alternate (A-B-A-B is 2).
        varied: how often a tool runs with arguments that differ only in numbers inside of texts (``part 1``, ``part 2``); then as
            with ``repeats``.
        stalled: how often in a row a tool that only reads gives the very same, whatever it is asked; then as with ``repeats``.
        handed: most tasks that a run hands on to colleagues (``us.hand_over``, ``us.builtin.delegate``).
        depth: through how many hands a task may go; who has it from so many does it alone.
        family: most tasks that are handed on in all by a run, by those to which it handed tasks on, and by theirs. Each holds its own
            ``family`` against the same count.
        per_tool: most calls in one run of tools that have a limit of their own, by name.
        approval: seconds until a person's silence counts as no; None waits for ever.
        approved: seconds for which a person's yes to a call may be used; after that the call is refused. None for no end.
        invalid: how often a final answer that does not fit its type is sent back.
        answer: tokens that one answer of a model may have. None: 8,192 where a budget is kept, else what the provider allows.
        model: seconds that one attempt at a model call may take.
        step: seconds that one step may take: a model call with all its attempts, and the calls that it asked for, people's approvals
            included; None for no limit but theirs.
        run: seconds that a run may take from its task on, people's answers included; None for no limit but the task's deadline.
    """

    steps: int = 20
    calls: int = 100
    repeats: int = 3
    cycles: int = 2
    varied: int = 10
    stalled: int = 6
    handed: int = 20
    depth: int = 8
    family: int = 200
    per_tool: dict[str, int] = {}
    approval: float | None = 86_400.0
    approved: float | None = 86_400.0
    invalid: int = 2
    answer: int | None = None
    model: float = 120.0
    step: float | None = None
    run: float | None = None
