"""What an operator may change of a campaign: which values it had, and when."""

from dataclasses import dataclass

from loadtest.checker.outcomes import is_certain
from loadtest.history import Campaign, Change

NEVER_US = 2**62


@dataclass(frozen=True, slots=True)
class _Span:
    """A value, and from when to when it can have been in force, in microseconds."""

    value: int
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The values that one field of a campaign may have had; none if that is not known."""

    spans: tuple[_Span, ...] = ()

    @property
    def is_known(self) -> bool:
        """Tell whether the history says what the campaign began with."""
        return bool(self.spans)

    @property
    def values(self) -> list[int]:
        """Return all of them."""
        return [span.value for span in self.spans]

    def most(self, from_us: float, until_us: float) -> int:
        """Return the greatest that can have been in force at some instant between two."""
        if len(self.spans) == 1:
            return self.spans[0].value
        return max(self._between(from_us, until_us))

    def least(self, from_us: float, until_us: float) -> int:
        """Return the smallest that can have been in force at some instant between two."""
        if len(self.spans) == 1:
            return self.spans[0].value
        return min(self._between(from_us, until_us))

    def _between(self, one_us: float, other_us: float) -> list[int]:
        # A history that breaks rules may show a coupon before the call that got it.
        from_us, until_us = sorted((one_us, other_us))
        return [
            span.value
            for span in self.spans
            if span.from_us <= until_us and from_us <= span.until_us
        ]


def settings_of(
    described: list[tuple[Campaign, int]], changed: list[tuple[Change, int | None]]
) -> Settings:
    """Return the values of a field, given who described it and who may have changed it."""
    changes = [(change, value) for change, value in changed if value is not None]
    first_us = min((change.sent_us for change, _ in changes), default=NEVER_US)
    # A description from between the changes says nothing that they do not say themselves.
    spans = [
        _Span(value, -NEVER_US, _replaced_us(-NEVER_US, changes))
        for campaign, value in described
        if not changes or campaign.create_time_us is not None or _over_us(campaign) < first_us
    ]
    if not spans:
        return Settings()
    spans += [
        _Span(value, change.sent_us, _replaced_us(_over_us(change), changes))
        for change, value in changes
    ]
    return Settings(tuple(spans))


def _over_us(operation: Campaign | Change) -> int:
    """Return when an operation was certainly over; one without an answer may come at any time."""
    if operation.answered_us is None or not is_certain(operation):
        return NEVER_US
    return operation.answered_us


def _replaced_us(over_us: int, changes: list[tuple[Change, int]]) -> int:
    """Return by when a value was certainly replaced by a later one."""
    return min(
        (_over_us(change) for change, _ in changes if change.sent_us > over_us),
        default=NEVER_US,
    )
