"""The checks of the gate's deciding half: each a small pure function from a ``Case`` to a ``Ruling``.

``permission`` -> ``schema`` -> ``limits.calls`` -> ``limits.loop`` -> ``approval`` -> ``rules`` at the intent of a tool call
(``limits.steps`` at that of a model call), ``permission`` again at the start, and ``approved`` where a person said yes.
"""
