"""Supervision trees: who keeps whom going, and what is decided when somebody fails. The rules stand in docs/supervision.md.

What people write (``definitions``, ``children``) is mounted (``tree``). The supervisor (``supervisor``) is an actor in layers: what it
remembers (``roster``), children that begin with their mail (``virtual``), orders one after the other (``jobs``), children by name
(``live``). Pure rules: who is restarted with whom (``strategy``), how often (``intensity``), how soon (``backoff``), what is done about
which failure (``deciders``).

Looked at from outside: by name (``handle``; why one does not answer: ``silence``), as a tree (``overview``), a line each (``decisions``).
"""
