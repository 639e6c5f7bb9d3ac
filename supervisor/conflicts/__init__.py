"""Conflicts: who decides (``resolvers``), what a team declares (``policy``), one conflict from end to end (``actor``)."""
