"""The incident desk: a front door, three specialists and the people behind them. See README.md beside this file."""

from .desk import desk

__all__ = ["desk"]
