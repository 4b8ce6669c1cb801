"""Each GetCampaign is one snapshot of the campaign."""

from bisect import bisect_left, bisect_right
from itertools import accumulate

from loadtest.checker.facts import Coupon, Facts, answered
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import FULL, Read, Stored

# When the codes of many reads are wrong, a few are enough to say which ones.
_LOOKS_MAX = 5


def _each_read_is_a_snapshot(facts: Facts, found: Findings) -> None:
    if not facts.reads:
        return found.lacks("a GetCampaign that was answered")
    found.checked(len(facts.reads))
    _reads_count_what_was_shown(facts, found)
    _reads_count_only_what_was_asked_for(facts, found)
    strange = [
        read
        for read in facts.reads
        if read.view == FULL and not _shows_the_codes_in_order(facts, read, found)
    ]
    for read in strange[:_LOOKS_MAX]:
        _look_at_each_code(facts, read, found)
    _later_reads_lose_nothing(facts.reads, found)
    return None


def _reads_count_what_was_shown(facts: Facts, found: Findings) -> None:
    coupons = sorted(facts.coupons.values(), key=lambda coupon: coupon.answered_us)
    answered_us = [coupon.answered_us for coupon in coupons]
    # For each, the highest sequence among those answered no later.
    highest = list(accumulate(coupons, _higher))
    for read in facts.reads:
        place = bisect_left(answered_us, read.sent_us)
        if place and highest[place - 1].sequence > read.issued_count:
            latest = highest[place - 1]
            found.violated(
                f"GetCampaign counted {read.issued_count} coupons when sequence "
                f"{latest.sequence} had been shown",
                latest.first,
                read,
            )


def _reads_count_only_what_was_asked_for(facts: Facts, found: Findings) -> None:
    coupons = sorted(facts.coupons.values(), key=lambda coupon: coupon.sequence)
    sequences = [coupon.sequence for coupon in coupons]
    # For each, of those with no higher sequence, the one that was asked for last.
    newest = list(accumulate(coupons, _newer))
    for read in facts.reads:
        place = bisect_right(sequences, read.issued_count)
        if place and newest[place - 1].sent_us > answered(read):
            last = newest[place - 1]
            found.violated(
                f"GetCampaign counted {read.issued_count} coupons before the call was sent that "
                f"got sequence {last.sequence}",
                read,
                last.first,
            )
        if facts.stored is not None and read.issued_count > len(facts.stored.coupons):
            found.violated(
                f"GetCampaign counted {read.issued_count} coupons, and only "
                f"{len(facts.stored.coupons)} are stored",
                read,
            )


def _shows_the_codes_in_order(facts: Facts, read: Read, found: Findings) -> bool:
    """Tell whether a read's codes are certainly the first ones in order of issue."""
    if read.issued_count != len(read.codes):
        found.violated(
            f"GetCampaign counted {read.issued_count} coupons and showed {len(read.codes)} codes",
            read,
        )
    # Two snapshots of codes that are only ever added to begin alike, whichever is newer.
    shared = min(len(read.codes), len(facts.order))
    if read.codes[:shared] != facts.order[:shared]:
        found.violated(
            f"GetCampaign showed {_difference(read, facts)}",
            read,
            *([] if facts.shown_by is None else [facts.shown_by]),
        )
        return False
    return shared == len(read.codes)


def _difference(read: Read, facts: Facts) -> str:
    by_whom = "those that are stored" if isinstance(facts.shown_by, Stored) else "a later one"
    place = next(
        place
        for place, (one, other) in enumerate(zip(read.codes, facts.order, strict=False), 1)
        if one != other
    )
    return f"other codes than {by_whom}, from number {place} on"


def _look_at_each_code(facts: Facts, read: Read, found: Findings) -> None:
    shown = set(read.codes)
    for coupon in facts.coupons.values():
        if coupon.answered_us < read.sent_us and coupon.code not in shown:
            found.violated(
                f"GetCampaign lacks {coupon.code}, which had been shown before it was sent",
                coupon.first,
                read,
            )
        elif coupon.sent_us > answered(read) and coupon.code in shown:
            found.violated(
                f"GetCampaign showed {coupon.code} before the call was sent that got it",
                read,
                coupon.first,
            )


def _later_reads_lose_nothing(reads: list[Read], found: Findings) -> None:
    """A read that was sent after another was answered shows at least what that one did."""
    by_answer = sorted(reads, key=answered)
    answered_us = [answered(read) for read in by_answer]
    most = list(accumulate(by_answer, _fuller))
    for read in reads:
        place = bisect_left(answered_us, read.sent_us)
        if not place:
            continue
        earlier = most[place - 1]
        if earlier.issued_count > read.issued_count:
            found.violated(
                f"GetCampaign counted {read.issued_count} coupons after it had counted "
                f"{earlier.issued_count}",
                earlier,
                read,
            )


def _higher(one: Coupon, other: Coupon) -> Coupon:
    return one if one.sequence >= other.sequence else other


def _newer(one: Coupon, other: Coupon) -> Coupon:
    return one if one.sent_us >= other.sent_us else other


def _fuller(one: Read, other: Read) -> Read:
    return one if one.issued_count >= other.issued_count else other


RULES = (
    Rule(name="snapshot", title="Each GetCampaign is a snapshot", look=_each_read_is_a_snapshot),
)
