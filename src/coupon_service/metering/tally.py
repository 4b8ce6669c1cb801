"""What issuing tells of itself to whoever counts."""

from typing import Protocol


class Tally(Protocol):
    """Counts what is issued; called once for a group of claims."""

    def claimed(self, claims: int, seconds: float) -> None:
        """Count a transaction of claims, whether it granted any or not."""
        ...

    def issued(self, coupons: int) -> None:
        """Count coupons that were issued."""
        ...


class NoTally:
    """Counts nothing."""

    def claimed(self, claims: int, seconds: float) -> None:
        """Do nothing."""

    def issued(self, coupons: int) -> None:
        """Do nothing."""
