"""What a rush writes into a history beside what every history has."""

import msgspec

from loadtest import history

ISSUED, REPEAT, LOST = "issued", "repeat", "lost"
HUNG_UP, DEADLINE, UNKNOWN = "hung up", "deadline", "outcome unknown"
SOLD_OUT, NOT_STARTED = "sold out", "not started"

# What a rush provokes, in the order in which a person wants to read it; whatever else
# comes is an error.
KINDS = (ISSUED, REPEAT, SOLD_OUT, NOT_STARTED, DEADLINE, UNKNOWN, HUNG_UP)
REFUSALS = (SOLD_OUT, NOT_STARTED)

_NAMES = {
    "SOLD_OUT": SOLD_OUT,
    "CAMPAIGN_NOT_STARTED": NOT_STARTED,
    "deadline_exceeded": DEADLINE,
    history.NO_ANSWER: LOST,
}


class Arrival(history.Issue, kw_only=True, tag="issue"):
    """A call of IssueCoupon that was due at `due_us`, whether or not it could be sent then.

    `due_us` is None for a call that no schedule asked for. `hung_up` says that the caller
    meant to go without its answer, `timeout_ms` that it set the service a deadline.
    """

    due_us: int | None = None
    timeout_ms: int | None = None
    hung_up: bool = False

    @property
    def kind(self) -> str:
        """What became of it, in a word or two."""
        if self.outcome == history.OK:
            return REPEAT if self.already_issued else ISSUED
        if self.hung_up and self.outcome == history.NO_ANSWER:
            return HUNG_UP
        return _NAMES.get(self.outcome) or self.outcome.removeprefix("CAMPAIGN_").lower().replace(
            "_", " "
        )

    @property
    def latency_us(self) -> int | None:
        """From when it was due until it was answered; None if it was not."""
        if self.due_us is None or self.answered_us is None or self.outcome == history.NO_ANSWER:
            return None
        return self.answered_us - self.due_us


Line = history.Clock | history.Campaign | history.Change | Arrival | history.Read | history.Stored

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def decode(data: bytes) -> Line:
    """Return what a line of the history says, with what a rush added to it.

    Raises:
        msgspec.DecodeError: it is not a line of a history.
    """
    return _decoder.decode(data)
