"""Conflicts: who decides (``resolver``, ``weighing``, ``asking``; as people write them: ``resolvers``), what a team declares (``policy``),
one conflict from end to end (``actor``). What they are about: the board (``board``), leases (``leases``, ``competing``, ``claimants``),
answers (``team.panel``)."""
