"""Makes calls, and says what came of each as a line of the history."""

from dataclasses import dataclass

import gevent
import msgspec

from loadtest import history
from loadtest.clocks import Clock
from loadtest.history import FULL, NO_ANSWER, OK
from loadtest.rush import wire
from loadtest.rush.connections import BROKEN, CALL_SECONDS_MAX, Connections
from loadtest.rush.lines import Arrival
from loadtest.rush.people import Claim


class CallFailed(Exception):
    """A call that has to succeed did not; the message is one line."""


@dataclass(slots=True)
class Caller:
    """A process's way to the service: `process` is its name, `clock` what it goes by."""

    connections: Connections
    process: str
    clock: Clock

    def create(self, *, name: str, coupon_limit: int, start_us: int) -> history.Campaign:
        """Create a campaign.

        Raises:
            CallFailed: it was refused, or the service cannot be reached.
        """
        body = wire.encode(
            {"name": name, "couponLimit": coupon_limit, "startTime": wire.timestamp(start_us)}
        )
        sent_us = self.clock.now_us()
        try:
            status, answer = self.connections.post(wire.CREATE, body)
        except BROKEN as exc:
            raise CallFailed(f"cannot be reached: {_why(exc)}") from exc
        answered_us = self.clock.now_us()
        if status != wire.OK_STATUS:
            refusal = f"{wire.reason(status, answer)} (HTTP {status}): {wire.message(answer)}"
            raise CallFailed(f"refused to create a campaign: {refusal.rstrip(': ')}")
        try:
            created = wire.campaign_answer(answer).campaign
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise CallFailed("does not answer as the coupon service does") from exc
        return history.Campaign(
            process=self.process,
            campaign_id=created.campaign_id,
            sent_us=sent_us,
            answered_us=answered_us,
            coupon_limit=created.coupon_limit,
            start_time_us=wire.microseconds(created.start_time),
            create_time_us=wire.microseconds(created.create_time),
        )

    def issue(self, campaign_id: str, claim: Claim, due_us: int | None = None) -> Arrival:
        """Ask for a coupon. A caller without patience goes before its answer has come."""
        asked = {"campaignId": campaign_id}
        if claim.user_id:
            asked["userId"] = claim.user_id
        headers = None
        if claim.timeout_ms is not None:
            headers = {wire.TIMEOUT_HEADER: str(claim.timeout_ms)}
        line = Arrival(
            process=self.process,
            campaign_id=campaign_id,
            sent_us=self.clock.now_us(),
            user_id=claim.user_id,
            outcome=NO_ANSWER,
            due_us=due_us,
            timeout_ms=claim.timeout_ms,
            hung_up=claim.hang_up_seconds is not None,
        )
        patience = CALL_SECONDS_MAX if claim.hang_up_seconds is None else claim.hang_up_seconds
        with gevent.Timeout(patience, False):  # noqa: FBT003 # gevent has it so
            self._issue(line, wire.encode(asked), headers)
        if line.answered_us is None:
            line.answered_us = self.clock.now_us()
        return line

    def _issue(self, line: Arrival, body: bytes, headers: dict[str, str] | None) -> None:
        try:
            status, answer = self.connections.post(wire.ISSUE, body, headers)
        except Exception:  # noqa: BLE001 # whatever it was, the call is lost and is to be told
            return
        # From here on nothing waits, so nobody can hang up.
        line.answered_us = self.clock.now_us()
        if status == wire.OK_STATUS:
            _describe(line, answer)
        else:
            line.outcome = wire.reason(status, answer)

    def read(self, campaign_id: str, view: str) -> history.Read:
        """Read a campaign."""
        body = wire.encode({"campaignId": campaign_id, "view": f"CAMPAIGN_VIEW_{view}"})
        line = history.Read(
            process=self.process,
            campaign_id=campaign_id,
            sent_us=self.clock.now_us(),
            outcome=NO_ANSWER,
            view=view,
        )
        try:
            status, answer = self.connections.post(wire.GET, body)
            line.outcome = OK if status == wire.OK_STATUS else wire.reason(status, answer)
        except Exception:  # noqa: BLE001 # whatever it was, the call is lost and is to be told
            answer = b""
        line.answered_us = self.clock.now_us()
        if line.outcome == OK:
            _describe_read(line, answer)
        return line


def _describe(line: Arrival, answer: bytes) -> None:
    try:
        told = wire.issue_answer(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        line.outcome = wire.UNREADABLE
        return
    coupon = told.coupon
    line.outcome = OK
    line.code = coupon.code
    line.sequence = coupon.sequence
    line.issue_time_us = wire.microseconds(coupon.issue_time)
    line.already_issued = told.already_issued
    if coupon.user_id != line.user_id:
        line.for_user_id = coupon.user_id
    if coupon.campaign_id != line.campaign_id:
        line.for_campaign_id = coupon.campaign_id


def _describe_read(line: history.Read, answer: bytes) -> None:
    try:
        told = wire.campaign_answer(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        line.outcome = wire.UNREADABLE
        return
    line.issued_count = told.campaign.issued_count
    line.state = told.campaign.state.removeprefix("CAMPAIGN_STATE_")
    if line.view == FULL:
        line.codes = told.coupon_codes


def _why(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return " ".join(str(strerror or error or type(error).__name__).split())
