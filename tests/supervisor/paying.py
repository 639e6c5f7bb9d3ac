"""A clerk who pays once a person has said yes."""

from __future__ import annotations

import understudy as us


@us.tool(effect="once", approve=True)
def pay(to: str) -> str:
    """Pay somebody."""
    return f"paid {to}"


clerk = us.Agent(
    "clerk",
    "Pays.",
    model=us.Rules(
        "clerk",
        [us.Rule(us.Use("pay", {"to": "ada"}), before=("pay",)), us.Rule(us.Say("It is paid."), after=("pay",))],
    ),
    tools=[pay],
)
