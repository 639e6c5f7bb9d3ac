"""What users' type checkers are promised. This file is checked, never run: add a line for each public type.

`assert_type` fails when an inferred type is not exactly the one named.
"""

from typing import assert_type

import understudy as us


class Deposit(us.Request[int]):
    amount: int


class Deposited(us.Event):
    amount: int


class Account(us.State):
    balance: int = 0


assert_type(Deposit(amount=5).amount, int)
assert_type(Account().balance, int)
