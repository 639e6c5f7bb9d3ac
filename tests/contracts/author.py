"""Writes rows that follow each other: the test kit's, under the name that the tests here know."""

from understudy.supervisor.kit.author import ADA, BOB, Author, effect, envelope, line, mail, timer

__all__ = ["ADA", "BOB", "Author", "effect", "envelope", "line", "mail", "timer"]
