"""The journal's back-ends, in memory and SQLite, behind ``protocols.journal.JournalCore``, and the async face of both.

``memory`` and ``sqlite`` are cores; ``writer`` runs a core in one thread of its own; ``reader`` and ``verify`` look at
a file without owning it; ``audit``, ``backup``, ``export`` and ``stats`` are what ``understudy journal`` does with one.
``batch``, ``chain``, ``driver``, ``head``, ``lock``, ``migrate``, ``mounts``, ``plan``, ``schema``, ``snapshots`` and ``tables``
are what ``sqlite`` is made of.
"""
