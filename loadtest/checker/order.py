"""First come, first served: the sequences say who came first."""

from loadtest.checker.facts import Coupon, Facts
from loadtest.checker.verdict import Findings, Rule


def _first_come_first_served(facts: Facts, found: Findings) -> None:
    """Whoever was answered before another asked has the smaller sequence.

    Goes through the coupons from the highest sequence down, with the one of them that was
    answered first: if that was before the next was asked for, the order is wrong.
    """
    answered_first: Coupon | None = None
    for coupon in sorted(facts.coupons.values(), key=lambda each: -each.sequence):
        found.checked()
        if answered_first is not None and answered_first.answered_us < coupon.sent_us:
            found.violated(
                f"sequence {answered_first.sequence} had been answered when the call was sent "
                f"that got {coupon.sequence}",
                answered_first.first,
                coupon.first,
            )
        if answered_first is None or coupon.answered_us < answered_first.answered_us:
            answered_first = coupon


def _sequences_have_no_gaps(facts: Facts, found: Findings) -> None:
    """Sequences are 1 to as many as there are, each once, and the place among the codes."""
    holder_of: dict[int, Coupon] = {}
    for coupon in facts.coupons.values():
        found.checked()
        for answer in coupon.answers:
            if answer.sequence != coupon.sequence:
                found.violated(f"{coupon.code} has two sequences", coupon.answers[0], answer)
        holder = holder_of.setdefault(coupon.sequence, coupon)
        if holder is not coupon:
            found.violated(
                f"sequence {coupon.sequence} was handed out twice", holder.first, coupon.first
            )
    if facts.stored is not None:
        _rows_have_no_gaps(facts, found)
    if facts.is_complete():
        _places_are_sequences(facts, found)


def _rows_have_no_gaps(facts: Facts, found: Findings) -> None:
    stored = facts.stored
    assert stored is not None  # noqa: S101 # for the type checker
    sequences = sorted(row.sequence for row in stored.coupons)
    found.checked(len(sequences))
    for place, sequence in enumerate(sequences, 1):
        if place != sequence:
            found.violated(f"among the stored sequences, {sequence} comes as number {place}")
            break
    if stored.issued_count != len(sequences):
        found.violated(
            f"the campaign says {stored.issued_count} were issued, and {len(sequences)} are stored"
        )


def _places_are_sequences(facts: Facts, found: Findings) -> None:
    place_of = {code: place for place, code in enumerate(facts.order, 1)}
    for coupon in facts.coupons.values():
        place = place_of.get(coupon.code)
        if place is not None and place != coupon.sequence:
            found.violated(
                f"{coupon.code} was handed out with sequence {coupon.sequence} and is number "
                f"{place} in order of issue",
                coupon.first,
            )


RULES = (
    Rule(name="order", title="First come, first served", look=_first_come_first_served),
    Rule(name="sequences", title="Sequences are 1 to N without gaps", look=_sequences_have_no_gaps),
)
