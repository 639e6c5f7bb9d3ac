"""What is said: messages, events, failures, effects, specs as data, and the ports that the outside implements.

The lowest floor. It knows msgspec and the standard library and nothing else of Understudy, and it does no I/O: a value
from here means the same in a test, in the journal and on the wire.
"""
