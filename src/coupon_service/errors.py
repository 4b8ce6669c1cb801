"""The refusals: one class for each, and its docstring is the message callers read."""

from dataclasses import dataclass
from datetime import datetime, timedelta


class Refused(Exception):
    """The request was refused."""

    @property
    def message(self) -> str:
        """Return the one plain sentence that callers read."""
        return (type(self).__doc__ or "").strip()

    def __str__(self) -> str:
        """Return the message, for logs."""
        return self.message


class CallerGone(Exception):
    """The caller has gone; nobody reads the answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldViolation:
    """A field of a request, and what is wrong with it in one sentence."""

    field: str
    description: str


class InvalidRequest(Refused):
    """The request is not valid."""

    def __init__(self, *violations: FieldViolation) -> None:
        super().__init__(*violations)
        self.violations = violations

    @property
    def message(self) -> str:
        """Return a sentence that names every violation."""
        named = (f"{each.field}: {each.description.rstrip('.')}" for each in self.violations)
        return f"The request is not valid ({'; '.join(named)})."


class CampaignNotFound(Refused):
    """There is no campaign with this id."""


class IssueRefused(Refused):
    """No coupon was issued."""


class CampaignNotStarted(IssueRefused):
    """The campaign has not started yet."""

    def __init__(self, *, start_time: datetime, time_left: timedelta) -> None:
        self.start_time = start_time
        self.time_left = time_left


class CampaignPaused(IssueRefused):
    """The campaign is paused."""


class CampaignEnded(IssueRefused):
    """The campaign has ended."""


class CampaignSoldOut(IssueRefused):
    """Every coupon of this campaign has been issued."""


class Overloaded(IssueRefused):
    """Too many claims are waiting; nothing was issued, try again shortly."""


class RateLimited(Overloaded):
    """This caller has called too often; nothing was issued, try again after the delay."""

    def __init__(self, *, time_left: timedelta) -> None:
        self.time_left = time_left


class TooManyConnections(Overloaded):
    """Too many connections are open; this one is closed, try again shortly."""


class WatchersFull(Overloaded):
    """Too many watch this service already; ask with Check instead, or try again later."""


class StorageUnavailable(Refused):
    """The database cannot be reached at the moment; try again shortly."""


class OutcomeUnknown(Refused):
    """Whether a coupon was issued could not be confirmed in time."""


class Unauthenticated(Refused):
    """The call carries no valid credentials."""


class CredentialsMissing(Unauthenticated):
    """The call needs a bearer token and carries none."""


class PermissionDenied(Refused):
    """The credentials do not allow this call."""


class CodesDenied(PermissionDenied):
    """The credentials show campaigns only without their codes: ask for CAMPAIGN_VIEW_BASIC."""


class OtherUserDenied(PermissionDenied):
    """The credentials are those of a user, who claims for nobody else: leave user_id empty."""
