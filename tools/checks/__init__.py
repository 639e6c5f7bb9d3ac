"""The checks of the gate's deciding half: each a small pure function from a ``Case`` to a ``Ruling``.

``schema`` -> ``permission`` -> ``limits`` -> ``approval`` at the intent, ``permission`` again at the start.
"""
