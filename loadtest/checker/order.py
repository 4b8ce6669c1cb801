"""First come, first served: the sequences say who came first."""

from loadtest.checker.facts import Coupon, Facts
from loadtest.checker.verdict import Findings, Rule
from loadtest.history import Stored


def _first_come_first_served(facts: Facts, found: Findings) -> None:
    """Whoever was answered before another asked has the smaller sequence.

    Goes through the coupons from the highest sequence down, with the one of them that was
    answered first: if that was before the next was asked for, the order is wrong.
    """
    if len(facts.coupons) < 2:
        return found.lacks("two coupons")
    found.checked(len(facts.coupons))
    answered_first: Coupon | None = None
    # Of two with one sequence, which another rule forbids, neither was first.
    for coupon in sorted(facts.coupons.values(), key=lambda each: (-each.sequence, -each.sent_us)):
        if answered_first is not None and answered_first.answered_us < coupon.sent_us:
            found.violated(
                f"sequence {answered_first.sequence} had been answered when the call was sent "
                f"that got {coupon.sequence}",
                answered_first.first,
                coupon.first,
            )
        if answered_first is None or coupon.answered_us < answered_first.answered_us:
            answered_first = coupon
    return None


def _sequences_have_no_gaps(facts: Facts, found: Findings) -> None:
    """Sequences are 1 to as many as there are, each once, and the place among the codes."""
    found.lacks("a coupon")
    if not (facts.coupons or facts.stored):
        return None
    holder_of: dict[int, Coupon] = {}
    found.checked(len(facts.coupons))
    for coupon in facts.coupons.values():
        _has_one_sequence(coupon, found)
        holder = holder_of.setdefault(coupon.sequence, coupon)
        if holder is not coupon:
            found.violated(
                f"sequence {coupon.sequence} was handed out twice", holder.first, coupon.first
            )
    if facts.stored is not None:
        _rows_have_no_gaps(facts.stored, found)
    _places_are_sequences(facts, found)
    if facts.stored is None and max(holder_of) > len(facts.order):
        return found.undecided("the codes read or stored after the last answer")
    return None


def _has_one_sequence(coupon: Coupon, found: Findings) -> None:
    if coupon.sequence < 1:
        found.violated(f"{coupon.code} has the sequence {coupon.sequence}", coupon.first)
    for answer in coupon.answers:
        if answer.sequence != coupon.sequence:
            found.violated(
                f"{coupon.code} has two sequences, {coupon.sequence} and {answer.sequence}",
                coupon.answers[0],
                answer,
            )


def _rows_have_no_gaps(stored: Stored, found: Findings) -> None:
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
    """Whoever shows the codes in order of issue shows at each place the sequence's own."""
    for place, code in enumerate(facts.order, 1):
        coupon = facts.coupons.get(code)
        if coupon is not None and place != coupon.sequence:
            found.violated(
                f"{coupon.code} was handed out with sequence {coupon.sequence} and is number "
                f"{place} in order of issue",
                coupon.first,
            )


RULES = (
    Rule(name="order", title="First come, first served", look=_first_come_first_served),
    Rule(name="sequences", title="Sequences are 1 to N without gaps", look=_sequences_have_no_gaps),
)
