"""Replay: decide a recorded run again from its journal, offline, and say whether it comes out the same."""
