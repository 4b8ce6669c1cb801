"""Decides whether a service that keeps its promises could have left a history.

`check` takes the lines of a history and returns a verdict. The checker knows the promises
and nothing of how the service is built, and imports nothing of it.
"""

from loadtest.checker.checking import check
from loadtest.checker.verdict import Rule, Status, Verdict, Violation

__all__ = ["Rule", "Status", "Verdict", "Violation", "check"]
