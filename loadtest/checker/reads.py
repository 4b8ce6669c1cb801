"""Each GetCampaign is one snapshot of the campaign."""

from bisect import bisect_left
from itertools import accumulate

from loadtest.checker.facts import NEVER_US, Coupon, Facts
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import FULL, OK, Read


def _each_read_is_a_snapshot(facts: Facts, found: Findings) -> None:
    reads = [read for read in facts.reads if read.outcome == OK]
    if not reads:
        return found.lacks("a GetCampaign that was answered")
    coupons = sorted(facts.coupons.values(), key=lambda coupon: coupon.answered_us)
    answered = [coupon.answered_us for coupon in coupons]
    # For each, the highest sequence among those answered no later.
    highest = list(accumulate(coupons, lambda a, b: max(a, b, key=lambda each: each.sequence)))
    newest = _newest(facts)
    for read in reads:
        found.checked()
        place = bisect_left(answered, read.sent_us)
        if place and highest[place - 1].sequence > read.issued_count:
            latest = highest[place - 1].first
            found.violated(
                f"GetCampaign counted {read.issued_count} coupons when sequence "
                f"{latest.sequence} had been shown",
                latest,
                _without_codes(read),
            )
        if read.view == FULL:
            _codes_are_those_issued(facts, read, newest, found)
    _later_reads_lose_nothing(reads, found)
    return None


def _newest(facts: Facts) -> list[Coupon | None]:
    """Return for each place in order of issue which coupon up to it was asked for last."""

    def newer(one: Coupon | None, other: Coupon | None) -> Coupon | None:
        if one is None or other is None:
            return one or other
        return max(one, other, key=lambda coupon: coupon.sent_us)

    return list(accumulate((facts.coupons.get(code) for code in facts.order), newer))


def _codes_are_those_issued(
    facts: Facts, read: Read, newest: list[Coupon | None], found: Findings
) -> None:
    shown = set(read.codes)
    if read.issued_count != len(read.codes) or len(shown) != len(read.codes):
        found.violated(
            f"GetCampaign counted {read.issued_count} coupons and showed {len(read.codes)} codes, "
            f"{len(shown)} of them different",
            _without_codes(read),
        )
    if read.codes == facts.order[: len(read.codes)]:
        # None can be missing, or the count would be too small for the sequences shown.
        last = newest[len(read.codes) - 1] if read.codes else None
        if last is not None and last.sent_us > _answered(read):
            _shown_too_early(last, read, found)
        return
    _look_at_each_code(facts, read, shown, found)


def _look_at_each_code(facts: Facts, read: Read, shown: set[str], found: Findings) -> None:
    if facts.is_complete():
        never_stored = shown.difference(facts.order)
        what = (
            f"{len(never_stored)} codes that are not stored, such as {min(never_stored)}"
            if never_stored
            else "the codes in another order"
        )
        found.violated(f"GetCampaign showed {what}", _without_codes(read))
    for coupon in facts.coupons.values():
        if _is_missing(coupon, read, shown):
            found.violated(
                f"GetCampaign lacks {coupon.code}, which had been shown before it was sent",
                coupon.first,
                _without_codes(read),
            )
        elif coupon.sent_us > _answered(read) and coupon.code in shown:
            _shown_too_early(coupon, read, found)


def _shown_too_early(coupon: Coupon, read: Read, found: Findings) -> None:
    found.violated(
        f"GetCampaign showed {coupon.code} before the call was sent that got it",
        _without_codes(read),
        coupon.first,
    )


def _is_missing(coupon: Coupon, read: Read, shown: set[str]) -> bool:
    return coupon.answered_us < read.sent_us and coupon.code not in shown


def _later_reads_lose_nothing(reads: list[Read], found: Findings) -> None:
    """A read that was sent after another was answered shows at least what that one did."""
    by_answer = sorted(reads, key=_answered)
    answered = [_answered(read) for read in by_answer]
    most = list(accumulate(by_answer, lambda a, b: max(a, b, key=lambda each: each.issued_count)))
    for read in reads:
        place = bisect_left(answered, read.sent_us)
        if not place:
            continue
        earlier = most[place - 1]
        if earlier.issued_count > read.issued_count:
            found.violated(
                f"GetCampaign counted {read.issued_count} coupons after it had counted "
                f"{earlier.issued_count}",
                _without_codes(earlier),
                _without_codes(read),
            )


def _answered(read: Read) -> int:
    return NEVER_US if read.answered_us is None else read.answered_us


def _without_codes(read: Read) -> Read:
    """Return a read as a proof that a person can read."""
    return Read(
        process=read.process,
        campaign_id=read.campaign_id,
        sent_us=read.sent_us,
        answered_us=read.answered_us,
        view=read.view,
        issued_count=read.issued_count,
        state=read.state,
    )


RULES = (
    Rule(name="snapshot", title="Each GetCampaign is a snapshot", look=_each_read_is_a_snapshot),
)
