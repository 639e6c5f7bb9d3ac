"""Whole programs that use Understudy; not part of what is installed."""
