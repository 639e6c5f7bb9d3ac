"""What decides: the kernel and the actors and agents that run in it.

Everything here is synchronous and pure. Time, ids and randomness come in with the input; what should happen in the
world goes out as an intended effect. That is why a turn can be stored, replayed and decided again.
"""
