"""The contract of a journal: the test kit's own suite, which users run on theirs."""

from understudy.supervisor.kit.contract import JournalContract, Medium, alike, same

__all__ = ["JournalContract", "Medium", "alike", "same"]
