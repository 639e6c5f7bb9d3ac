"""``python -m tests.scenarios.strangers``: the table."""

from __future__ import annotations

import sys

from .suite import report, table

found = report()
print(table(found))
if "-v" in sys.argv:
    for who, came in (*found.attacked.items(), ("ungated", found.ungated)):
        for one in came:
            print(f"{who:8} {'useful' if one.useful else 'in vain':8} {one.asks} asks  {one.name} {' '.join(one.harm)}")
