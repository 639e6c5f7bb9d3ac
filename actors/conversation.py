"""What a run of an agent remembers: its events, its state, and how its conversation reads."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ..protocols.approvals import Answer
from ..protocols.budget import Rung
from ..protocols.codec import encode
from ..protocols.failures import Failure
from ..protocols.messages import Event, State
from ..protocols.model import ModelMessage, ModelReply, Usage
from ..protocols.provenance import Provenance, Vouched, framed, results_of, values_of, words_of
from ..protocols.tasks import RunStatus, Task


class Began(Event, wire="agent.began", omit_defaults=True):
    """A task was taken on; ``later`` is the request to answer. ``provenance``: where the task comes from."""

    task: Task
    later: str
    provenance: Provenance | None = None


class Versioned(Event, wire="agent.versions"):
    """The run began with these versions of tools, and keeps them."""

    versions: dict[str, str]


class Thought(Event, wire="agent.thought"):
    """The model answered."""

    reply: ModelReply


class Observed(Event, wire="agent.observed", omit_defaults=True):
    """A tool call came to something: ``text`` is ``{"result": …}`` or ``{"failure": …}``. ``provenance``: where that comes from."""

    call: str
    tool: str
    text: str
    provenance: Provenance | None = None


class Told(Event, wire="agent.told"):
    """The agent was told something by its runtime: a new plan is due (``replan``), an answer did not fit (``invalid``)."""

    text: str
    invalid: bool = False
    replan: bool = False


class Stuck(Event, wire="agent.stuck"):
    """The agent cannot go on by itself, and a person is asked."""

    failure: Failure


class Retasked(Event, wire="agent.retasked", omit_defaults=True):
    """A person changed the task. ``said``: their own words, as JSON."""

    task: Task
    by: str
    said: str = ""


class Helped(Event, wire="agent.helped"):
    """A person said how to go on."""

    answer: Answer


class Fell(Event, wire="agent.fell_back"):
    """A model could not answer; the next of the chain is asked."""

    to: str
    failure: Failure


class HitBudget(Event, wire="agent.hit_budget"):
    """A budget has been hit, and this rung of its ladder is taken: ``to`` is the place in the chain of the model that is asked now."""

    rung: Rung
    failure: Failure
    to: int = -1


class Ended(Event, wire="agent.ended"):
    """The run is over."""

    status: RunStatus


class AgentState(State):
    """What a run of an agent remembers.

    Attributes:
        task, later: what it was asked, and the request to answer.
        transcript: the conversation after the instructions.
        waiting: ids of the model's tool calls that have no result yet.
        rung: which model of the chain is asked.
        steps, usage, cost: what it took so far.
        invalid: answers sent back because they did not fit.
        replans: how often a new plan was forced; ``warned``: since the model spoke last.
        stuck: why a person is asked; None while it goes on by itself.
        origin: where the task comes from; None where nothing is to be feared of it.
        said: what a person changed of the task, as JSON.
        broke: the budget that has been hit, while a person is asked whether more may be spent.
        versions: of the tools that it began with, by name, of those that have any.
    """

    task: Task = Task("")
    later: str = ""
    transcript: tuple[ModelMessage, ...] = ()
    waiting: tuple[str, ...] = ()
    rung: int = 0
    steps: int = 0
    usage: Usage = Usage()
    cost: float = 0.0
    invalid: int = 0
    replans: int = 0
    warned: bool = False
    stuck: Failure | None = None
    origin: Provenance | None = None
    said: str = ""
    broke: Failure | None = None
    versions: dict[str, str] = {}  # noqa: RUF012 - msgspec makes a new one for each


def vouched(state: AgentState, before: Vouched | None = None) -> Vouched:
    """Values that came from trusted sources.

    Words of its task and values of the task's inputs; what a person said; results of trusted tools; what its model gave to tools before
    anything that has a label was in its context. Failures are no source: they quote what they are about.

    Args:
        state: the state.
        before: what this gave for an earlier state of the same run; it is carried on where the conversation is that one, carried on.
    """
    said = state.transcript
    found = before
    if (
        found is None
        or len(found.of) != 3
        or found.of[0] is not state.task
        or found.of[1] is not state.origin
        or found.of[2] is not state.said
        or found.at > len(said)
        or (found.at and said[found.at - 1] is not found.last)
    ):
        found = Vouched()
        found.of, found.clean = (state.task, state.origin, state.said), state.origin is None
        if found.clean:
            found.sets.append(words_of(state.task.objective))
            found.sets += (values_of(bytes(value)) for value in state.task.inputs.values())
        for value in values_of(state.said) if state.said else ():
            found.sets.append(words_of(value))
    for message in said[found.at :]:
        labels = message.provenance.labels if message.provenance is not None else ()
        if message.role == "assistant":
            for call in message.calls:
                given = found.gave(call.name, call.arguments)
                if found.clean:
                    found.free |= given
        elif message.role == "tool" and "untrusted" not in labels:
            (found.private if labels else found.free).update(results_of(message.text))
        found.clean = found.clean and not labels
    found.at, found.last = len(said), said[-1] if said else None
    return found


def as_shown(message: ModelMessage) -> ModelMessage:
    """As it is shown to a model: what a tool that is not trusted says is framed, so that it cannot pass for anything else."""
    provenance = message.provenance
    if provenance is None:
        return message
    text = framed(message.text, provenance.sources) if "untrusted" in provenance.labels else message.text
    return msgspec.structs.replace(message, text=text, provenance=None)


def in_order(transcript: tuple[ModelMessage, ...]) -> list[ModelMessage]:
    """Tool results directly behind the calls they answer (model servers insist); what the runtime said meanwhile after them."""
    ordered: list[ModelMessage] = []
    held: list[ModelMessage] = []
    open_calls: set[str] = set()
    for message in transcript:
        if message.role == "assistant":
            ordered += held
            held = []
            open_calls = {call.id for call in message.calls}
        open_calls.discard(message.call_id)
        (held if message.role == "system" and open_calls else ordered).append(message)
        if not open_calls:
            ordered += held
            held = []
    return ordered + held


def partial(state: AgentState) -> Raw:
    """The last that the model said, where there is no answer."""
    return Raw(encode(next((m.text for m in reversed(state.transcript) if m.role == "assistant" and m.text), "")))


def distinct(reply: ModelReply) -> ModelReply:
    """A model may give two calls one id; their results could then not be told apart."""
    ids: list[str] = []
    for call in reply.calls:
        ids.append(call.id if call.id and call.id not in ids else f"{call.id or 'call'}-{len(ids) + 1}")
    calls = tuple(msgspec.structs.replace(call, id=id) for call, id in zip(reply.calls, ids, strict=True))
    return reply if calls == reply.calls else msgspec.structs.replace(reply, calls=calls)


def asked(task: Task, provenance: Provenance | None = None) -> str:
    """A task in words. Inputs that somebody gives who has read what may not be trusted are framed."""
    if not task.inputs:
        return task.objective
    inputs = msgspec.json.format(encode(task.inputs), indent=2).decode()
    if provenance is not None and "untrusted" in provenance.labels:
        inputs = framed(inputs, provenance.sources)
    return f"{task.objective}\n\nInputs (data):\n{inputs}"


def shown(failure: Failure) -> dict[str, str]:
    shown = {"kind": failure.kind, "code": failure.code, "message": failure.message}
    return shown | ({"hint": failure.hint} if failure.hint else {})


def tool_of(state: AgentState, call: str) -> str:
    return next((c.name for m in state.transcript for c in m.calls if c.id == call), "")


def unfenced(text: str) -> str:
    """An answer without the Markdown fence that models like to put around JSON."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") + 1 : -3].strip()
    return text
