"""What travels between actors: the message, who sent it, who waits for an answer, on whose behalf."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from .budget import Allowance
from .codec import NULL
from .failures import Failure
from .ids import OUTSIDE, Address
from .provenance import Provenance
from .verdicts import Verdict

Lane = Literal["work", "control"]
"""Control (stop, restart) is delivered before work."""

OUTCOME = "us.outcome"
"""Wire name of an outcome: of an effect, or of an ask inside the node."""


class Context(Struct, frozen=True, omit_defaults=True, gc=False):
    """On whose behalf. Inherited by everything that a message causes.

    Attributes:
        run: the address at which the chain began; runs are counted, shown and finished by it.
        user, tenant, session: who asked, as the caller named them.
        tags: the caller's own labels.
        via: of a task: who handed it on, in order, each as ``<address>#<mark of the task>``; without the one with whom the run began.
        provenance: what is to be feared of the message, because of what whoever sent it had read; None for nothing.
        budgets: what is drawn on by whatever is done on its behalf, the widest first.
        granted: names of the tools that models may call on its behalf; None for all that they have.
        undo: who is told of each call that can be undone; empty where it is done for no plan, or nobody would undo it.
    """

    run: Address = OUTSIDE
    user: str = ""
    tenant: str = ""
    session: str = ""
    tags: tuple[str, ...] = ()
    via: tuple[str, ...] = ()
    provenance: Provenance | None = None
    budgets: tuple[Allowance, ...] = ()
    undo: Address = Address("")
    granted: tuple[str, ...] | None = None


def without(context: Context, owner: Address) -> Context:
    """A context without the budgets that this run was given: as it goes back to whoever asked."""
    budgets = tuple(one for one in context.budgets if one.owner != owner)
    return context if len(budgets) == len(context.budgets) else msgspec.structs.replace(context, budgets=budgets)


class ReplyTo(Struct, frozen=True, omit_defaults=True, gc=False):
    """Where an answer goes.

    Attributes:
        address: the asking actor; ``OUTSIDE`` for a caller that is none.
        token: what the asker knows the request by: its item id, or the outside caller's ask id.
        settler: which ``@us.settles`` of the asker takes the answer; it names the request's class, outside too.
        tag: what the asker wants back with it, as JSON.
        deadline: journal time after which nobody waits any more; None for no end. Asks made on its behalf inherit it.
        request: the asker's own open request on whose behalf it asks, where the tag does not name it.
        keyed: for a caller outside that gave a key: the actor that it asked, whoever answers. The token is then ``<keyed>#<key>``.
        said: digest of the request, where its answer is to be repeated once the actor has finished.
    """

    address: Address
    token: str
    settler: str = ""
    tag: Raw = NULL
    deadline: float | None = None
    request: str = ""
    keyed: Address = OUTSIDE
    said: str = ""


class Envelope(Struct, frozen=True, omit_defaults=True, gc=False):
    """A message on its way. Written once, in the row that made it durable; never changed.

    Attributes:
        id: item id of a message from inside; ``outside:<ask id>`` of one from outside.
        to: the addressee.
        wire, version: wire name and version of the message's class.
        body: the message as JSON.
        sender: the sending actor, or ``OUTSIDE``.
        context: on whose behalf.
        reply_to: who waits for an answer, if anybody does.
        lane: control before work.
        key: the outside caller's idempotency key; empty for none.
        at: journal time at which it was sent, seconds since the epoch.
        priority: in the work lane higher ones come first.
        expires: journal time after which it is not to be begun any more; None for no end.
    """

    id: str
    to: Address
    wire: str
    body: Raw
    sender: Address = OUTSIDE
    context: Context = Context()
    reply_to: ReplyTo | None = None
    lane: Lane = "work"
    key: str = ""
    version: int = 1
    at: float = 0.0
    priority: int = 0
    expires: float | None = None


class OutcomeBody(Struct, frozen=True, omit_defaults=True, gc=False):
    """The body of an ``OUTCOME`` envelope: what came of an effect or an ask.

    ``value`` (JSON) counts where there is no ``failure``; ``request`` and ``said`` as in the ask's ``ReplyTo``;
    ``checked``: of an effect, what the gate said when it was started, as far as no row holds it yet; ``came``: of a call that
    only reads, a digest of the value; ``note``: that a person had the call made with other arguments; ``tool``: the tool that
    gave it, where it took the place of the one that was called; ``simulated``: the call was not made, but simulated.
    """

    of: str
    settler: str
    tag: Raw = NULL
    value: Raw = NULL
    failure: Failure | None = None
    request: str = ""
    said: str = ""
    checked: tuple[Verdict, ...] = ()
    came: str = ""
    note: str = ""
    tool: str = ""
    simulated: bool = False


class Reply(Struct, frozen=True, omit_defaults=True, gc=False):
    """An answer that leaves the node, released when its row is committed. ``value`` counts where there is no ``failure``."""

    to: ReplyTo
    value: Raw = NULL
    failure: Failure | None = None
