"""Rows told as people read them: a fold over the rows of a run into lines."""
