"""How a team works: who takes a task (``routing``), what is remembered of it (``events``), one task from end to end (``dispatch``)."""
