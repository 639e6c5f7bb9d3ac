"""What touches the world: tools, the one gate that checks and records every call, the adapters to models and stores.

A sibling of the actors' floor: neither imports the other, they meet in the messages and ports of
`understudy.protocols`.
"""
