"""Understudy runs teams of AI agents so that no failure loses work, repeats an action, overspends or goes unseen.

This module is a table of contents: each public name, and the module that holds it. A module is imported when the first
of its names is used, so `import understudy` itself costs next to nothing. (A name has two lines here, one for type
checkers and editors and one for Python; `tests/test_face.py` holds the two lists equal.)
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .actors.actor import ANY_TOOL as ANY_TOOL
    from .actors.actor import PERSON as PERSON
    from .actors.actor import THINK as THINK
    from .actors.actor import Actor as Actor
    from .actors.actor import applies as applies
    from .actors.actor import handles as handles
    from .actors.actor import settles as settles
    from .actors.agent import Agent as Agent
    from .actors.outcome import Later as Later
    from .actors.outcome import Outcome as Outcome
    from .actors.outcome import Pending as Pending
    from .actors.planner import Planner as Planner
    from .actors.router import Router as Router
    from .actors.turn import Turn as Turn
    from .protocols.approvals import Answer as Answer
    from .protocols.approvals import Question as Question
    from .protocols.board import BoardDrop as BoardDrop
    from .protocols.board import BoardEntry as BoardEntry
    from .protocols.board import BoardKeys as BoardKeys
    from .protocols.board import BoardRead as BoardRead
    from .protocols.board import BoardWrite as BoardWrite
    from .protocols.board import BoardWritten as BoardWritten
    from .protocols.board import board_of as board_of
    from .protocols.breakers import Breaker as Breaker
    from .protocols.budget import Budget as Budget
    from .protocols.budget import Price as Price
    from .protocols.budget import Spending as Spending
    from .protocols.children import Backoff as Backoff
    from .protocols.children import Intensity as Intensity
    from .protocols.conflicts import Claim as Claim
    from .protocols.conflicts import Conflict as Conflict
    from .protocols.conflicts import Ruling as Ruling
    from .protocols.effects import Retry as Retry
    from .protocols.errors import Abandon as Abandon
    from .protocols.errors import AskFailed as AskFailed
    from .protocols.errors import ChangeArguments as ChangeArguments
    from .protocols.errors import DefinitionError as DefinitionError
    from .protocols.errors import Failed as Failed
    from .protocols.errors import Ignore as Ignore
    from .protocols.errors import InsideLoop as InsideLoop
    from .protocols.errors import JournalError as JournalError
    from .protocols.errors import Rejected as Rejected
    from .protocols.errors import RetryLater as RetryLater
    from .protocols.errors import RetryNow as RetryNow
    from .protocols.errors import RunFailed as RunFailed
    from .protocols.errors import UnderstudyError as UnderstudyError
    from .protocols.errors import WaitingForPerson as WaitingForPerson
    from .protocols.failures import Failure as Failure
    from .protocols.leases import Lease as Lease
    from .protocols.leases import LeaseAcquire as LeaseAcquire
    from .protocols.leases import LeaseLook as LeaseLook
    from .protocols.leases import LeaseLost as LeaseLost
    from .protocols.leases import LeaseRelease as LeaseRelease
    from .protocols.leases import LeaseRenew as LeaseRenew
    from .protocols.leases import LeaseStand as LeaseStand
    from .protocols.leases import lease_of as lease_of
    from .protocols.lifecycle import Restarted as Restarted
    from .protocols.lifecycle import Started as Started
    from .protocols.lifecycle import Stopping as Stopping
    from .protocols.limits import Limits as Limits
    from .protocols.mail import MailboxPolicy as MailboxPolicy
    from .protocols.mail import Overloaded as Overloaded
    from .protocols.mail import Terminated as Terminated
    from .protocols.mail import Undelivered as Undelivered
    from .protocols.messages import Event as Event
    from .protocols.messages import Message as Message
    from .protocols.messages import Request as Request
    from .protocols.messages import State as State
    from .protocols.model import ModelMessage as ModelMessage
    from .protocols.model import ModelReply as ModelReply
    from .protocols.model import ModelRequest as ModelRequest
    from .protocols.model import Usage as Usage
    from .protocols.people import People as People
    from .protocols.plans import Parallel as Parallel
    from .protocols.plans import Plan as Plan
    from .protocols.plans import PlanLimits as PlanLimits
    from .protocols.plans import Step as Step
    from .protocols.provenance import Provenance as Provenance
    from .protocols.rates import Rate as Rate
    from .protocols.rules import ApprovalRule as ApprovalRule
    from .protocols.secrets import Secret as Secret
    from .protocols.tasks import Cancel as Cancel
    from .protocols.tasks import Part as Part
    from .protocols.tasks import Result as Result
    from .protocols.tasks import Route as Route
    from .protocols.tasks import Task as Task
    from .protocols.tool import Call as Call
    from .protocols.tool import Kind as Kind
    from .protocols.undoing import Undone as Undone
    from .supervisor.conflicts.policy import Conflicts as Conflicts
    from .supervisor.conflicts.resolvers import first_come as first_come
    from .supervisor.conflicts.resolvers import judge as judge
    from .supervisor.conflicts.resolvers import majority as majority
    from .supervisor.conflicts.resolvers import merge as merge
    from .supervisor.conflicts.resolvers import person as person
    from .supervisor.conflicts.resolvers import priority as priority
    from .supervisor.conflicts.resolvers import refuse as refuse
    from .supervisor.conflicts.resolvers import suited as suited
    from .supervisor.conflicts.resolvers import weighted as weighted
    from .supervisor.inbox import InboxItem as InboxItem
    from .supervisor.results import RunResult as RunResult
    from .supervisor.run import run as run
    from .supervisor.stuck import Stuck as Stuck
    from .supervisor.supervision.children import Child as Child
    from .supervisor.supervision.children import Pool as Pool
    from .supervisor.supervision.definitions import Supervisor as Supervisor
    from .supervisor.supervision.handle import SupervisorHandle as SupervisorHandle
    from .supervisor.supervision.live import ChildInfo as ChildInfo
    from .supervisor.supervision.overview import TreeNode as TreeNode
    from .supervisor.system import System as System
    from .supervisor.team.progress import Progress as Progress
    from .supervisor.team.routing import least_busy as least_busy
    from .supervisor.watchers import Delta as Delta
    from .supervisor.worker import Worker as Worker
    from .tools import builtin as builtin
    from .tools.composite import Steps as Steps
    from .tools.composite import composite as composite
    from .tools.declaring import tool as tool
    from .tools.models.openai import OpenAI as OpenAI
    from .tools.models.rules import Cannot as Cannot
    from .tools.models.rules import Facts as Facts
    from .tools.models.rules import Rule as Rule
    from .tools.models.rules import Rules as Rules
    from .tools.models.rules import Say as Say
    from .tools.models.rules import Use as Use
    from .tools.models.scripted import Scripted as Scripted
    from .tools.team_tools import board_drop as board_drop
    from .tools.team_tools import board_keys as board_keys
    from .tools.team_tools import board_read as board_read
    from .tools.team_tools import board_write as board_write
    from .tools.team_tools import hand_over as hand_over
    from .tools.team_tools import lease_acquire as lease_acquire
    from .tools.team_tools import lease_release as lease_release
    from .tools.tool import NOT_DONE as NOT_DONE
    from .tools.tool import NotDone as NotDone
else:  # hidden from type checkers: they would take a module with `__getattr__` to have every name
    _HOME = {
        "Abandon": "protocols.errors",
        "Actor": "actors.actor",
        "Agent": "actors.agent",
        "Answer": "protocols.approvals",
        "ANY_TOOL": "actors.actor",
        "applies": "actors.actor",
        "ApprovalRule": "protocols.rules",
        "AskFailed": "protocols.errors",
        "Backoff": "protocols.children",
        "board_drop": "tools.team_tools",
        "board_keys": "tools.team_tools",
        "board_of": "protocols.board",
        "board_read": "tools.team_tools",
        "board_write": "tools.team_tools",
        "BoardDrop": "protocols.board",
        "BoardEntry": "protocols.board",
        "BoardKeys": "protocols.board",
        "BoardRead": "protocols.board",
        "BoardWrite": "protocols.board",
        "BoardWritten": "protocols.board",
        "Breaker": "protocols.breakers",
        "builtin": "tools",
        "Call": "protocols.tool",
        "Cancel": "protocols.tasks",
        "Cannot": "tools.models.rules",
        "ChangeArguments": "protocols.errors",
        "Child": "supervisor.supervision.children",
        "ChildInfo": "supervisor.supervision.live",
        "Claim": "protocols.conflicts",
        "composite": "tools.composite",
        "Conflict": "protocols.conflicts",
        "Conflicts": "supervisor.conflicts.policy",
        "DefinitionError": "protocols.errors",
        "Delta": "supervisor.watchers",
        "Event": "protocols.messages",
        "Facts": "tools.models.rules",
        "Failed": "protocols.errors",
        "Failure": "protocols.failures",
        "first_come": "supervisor.conflicts.resolvers",
        "hand_over": "tools.team_tools",
        "handles": "actors.actor",
        "Ignore": "protocols.errors",
        "InboxItem": "supervisor.inbox",
        "InsideLoop": "protocols.errors",
        "Intensity": "protocols.children",
        "JournalError": "protocols.errors",
        "judge": "supervisor.conflicts.resolvers",
        "Kind": "protocols.tool",
        "Later": "actors.outcome",
        "Lease": "protocols.leases",
        "lease_acquire": "tools.team_tools",
        "lease_of": "protocols.leases",
        "lease_release": "tools.team_tools",
        "LeaseAcquire": "protocols.leases",
        "LeaseLook": "protocols.leases",
        "LeaseLost": "protocols.leases",
        "LeaseRelease": "protocols.leases",
        "LeaseRenew": "protocols.leases",
        "LeaseStand": "protocols.leases",
        "Limits": "protocols.limits",
        "MailboxPolicy": "protocols.mail",
        "majority": "supervisor.conflicts.resolvers",
        "merge": "supervisor.conflicts.resolvers",
        "Message": "protocols.messages",
        "ModelMessage": "protocols.model",
        "ModelReply": "protocols.model",
        "ModelRequest": "protocols.model",
        "NOT_DONE": "tools.tool",
        "OpenAI": "tools.models.openai",
        "NotDone": "tools.tool",
        "Outcome": "actors.outcome",
        "Overloaded": "protocols.mail",
        "Pending": "actors.outcome",
        "People": "protocols.people",
        "PERSON": "actors.actor",
        "person": "supervisor.conflicts.resolvers",
        "Pool": "supervisor.supervision.children",
        "priority": "supervisor.conflicts.resolvers",
        "Question": "protocols.approvals",
        "Rate": "protocols.rates",
        "refuse": "supervisor.conflicts.resolvers",
        "Rejected": "protocols.errors",
        "Request": "protocols.messages",
        "Restarted": "protocols.lifecycle",
        "Result": "protocols.tasks",
        "Retry": "protocols.effects",
        "RetryLater": "protocols.errors",
        "RetryNow": "protocols.errors",
        "Route": "protocols.tasks",
        "Router": "actors.router",
        "Rule": "tools.models.rules",
        "Rules": "tools.models.rules",
        "Ruling": "protocols.conflicts",
        "run": "supervisor.run",
        "RunFailed": "protocols.errors",
        "RunResult": "supervisor.results",
        "Say": "tools.models.rules",
        "Scripted": "tools.models.scripted",
        "Secret": "protocols.secrets",
        "settles": "actors.actor",
        "Started": "protocols.lifecycle",
        "State": "protocols.messages",
        "Stopping": "protocols.lifecycle",
        "suited": "supervisor.conflicts.resolvers",
        "Stuck": "supervisor.stuck",
        "Supervisor": "supervisor.supervision.definitions",
        "SupervisorHandle": "supervisor.supervision.handle",
        "System": "supervisor.system",
        "Task": "protocols.tasks",
        "Terminated": "protocols.mail",
        "THINK": "actors.actor",
        "tool": "tools.declaring",
        "Turn": "actors.turn",
        "TreeNode": "supervisor.supervision.overview",
        "Undelivered": "protocols.mail",
        "UnderstudyError": "protocols.errors",
        "Usage": "protocols.model",
        "Use": "tools.models.rules",
        "WaitingForPerson": "protocols.errors",
        "weighted": "supervisor.conflicts.resolvers",
        "Parallel": "protocols.plans",
        "Plan": "protocols.plans",
        "PlanLimits": "protocols.plans",
        "Budget": "protocols.budget",
        "Price": "protocols.budget",
        "Spending": "protocols.budget",
        "Planner": "actors.planner",
        "Step": "protocols.plans",
        "Steps": "tools.composite",
        "Part": "protocols.tasks",
        "Undone": "protocols.undoing",
        "least_busy": "supervisor.team.routing",
        "Progress": "supervisor.team.progress",
        "Provenance": "protocols.provenance",
        "Worker": "supervisor.worker",
    }
    __all__ = list(_HOME)

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOME})
