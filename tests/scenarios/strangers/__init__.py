"""A model that obeys everybody, in a small world: what a stranger gets done, and what the person who asked gets."""
