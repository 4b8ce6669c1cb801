"""What each outcome of a call says about whether it did anything."""

from loadtest.history import NO_ANSWER, OK, Campaign, Change, Issue

# The promise is that nothing was issued to this call.
REFUSED = frozenset(
    {
        "INVALID_REQUEST",
        "CAMPAIGN_NOT_FOUND",
        "CAMPAIGN_NOT_STARTED",
        "CAMPAIGN_PAUSED",
        "CAMPAIGN_ENDED",
        "SOLD_OUT",
        "OVERLOADED",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    }
)

# What the service says while it cannot ask its database: nothing was issued to an
# anonymous call; a user who asks again is shown what was.
STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"

# The answer was lost, or says itself that it does not know. The Connect codes are what a
# client makes of a broken connection or of its own deadline.
UNKNOWN = frozenset(
    {NO_ANSWER, "OUTCOME_UNKNOWN", "deadline_exceeded", "unavailable", "canceled", "unknown"}
)

KNOWN = REFUSED | UNKNOWN | {OK, STORAGE_UNAVAILABLE}

# What a user who has a coupon cannot be told: the coupon is the answer, whatever became of
# the campaign.
DENIALS = frozenset({"CAMPAIGN_NOT_STARTED", "CAMPAIGN_PAUSED", "CAMPAIGN_ENDED", "SOLD_OUT"})


def may_have_issued(issue: Issue) -> bool:
    """Tell whether a call without a coupon in its answer may have been issued one."""
    if issue.outcome == STORAGE_UNAVAILABLE:
        return bool(issue.user_id)
    return issue.outcome not in REFUSED and issue.outcome != OK


def may_have_happened(change: Change) -> bool:
    """Tell whether an operator's change was made, or may have been, or may yet be."""
    return change.outcome not in REFUSED


def is_certain(operation: Campaign | Change) -> bool:
    """Tell whether what an operator asked for was done when the answer came."""
    return operation.outcome == OK
