"""A tool that ends the process each time it runs.

    python -m tests.crash.programs.exiting_tool JOURNAL

One line for each question that a person is asked, once nothing goes on by itself.
"""

from __future__ import annotations

import os
import sys

import understudy as us
from understudy.tools import ledger

STATUS = 41
BOUND = 3


@us.tool(effect="read")
def fatal() -> str:
    """Ends the process."""
    os._exit(STATUS)


agent = us.Agent("agent", "Call fatal.", model=us.Rules("agent", [us.Rule(us.Use("fatal"))]), tools=[fatal])

if __name__ == "__main__":
    ledger.INTERRUPTIONS = BOUND  # lives are slow, and the bound is generous
    run = us.run(agent, "go", id="run", journal=sys.argv[1])
    print(*(f"{item.kind}: {item.text}" for item in run.waiting), sep="\n")
