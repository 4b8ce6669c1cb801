"""What the checker says: for each rule whether it was kept, and what proves that it was not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from loadtest.checker.facts import Facts
from loadtest.history import Line

EXAMPLES_MAX = 5
ANY_CALL = "a call of a campaign"


class Status(Enum):
    """What became of a rule."""

    KEPT = "kept"
    BROKEN = "BROKEN"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """A rule that was broken: one sentence, and the few lines of the history that prove it.

    The sentence may speak for several violations at once; `count` says for how many.
    """

    sentence: str
    proof: tuple[Line, ...]
    count: int = 1


class Findings:
    """What one rule finds in one campaign."""

    def __init__(self) -> None:
        self.checked_count = 0
        self.violation_count = 0
        self.examples: list[Violation] = []
        self.lacking = ""
        self.is_undecided = False

    def checked(self, count: int = 1) -> None:
        """Count what was looked at."""
        self.checked_count += count

    def violated(self, sentence: str, *proof: Line, count: int = 1) -> None:
        """Note a violation, or `count` like this one."""
        self.violation_count += count
        if len(self.examples) < EXAMPLES_MAX:
            self.examples.append(Violation(sentence=sentence, proof=proof, count=count))

    def lacks(self, what: str) -> None:
        """Note that there is nothing here to hold to the rule, and what that would be."""
        self.lacking = what

    def undecided(self, what: str) -> None:
        """Note that there is something that may break the rule, and what would decide it."""
        self.lacking = what
        self.is_undecided = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A promise, and the function that looks for where a campaign's history breaks it."""

    name: str
    title: str
    look: Callable[[Facts, Findings], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A rule, and what it found in all campaigns."""

    rule: Rule
    status: Status
    checked_count: int
    violation_count: int
    examples: list[Violation]
    lacking: str

    @property
    def untold_count(self) -> int:
        """How many violations none of the examples speaks of."""
        return self.violation_count - sum(example.count for example in self.examples)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """All judgements, and what they rest on."""

    judgements: list[Judgement]
    operation_count: int
    campaign_count: int
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def is_kept(self) -> bool:
        """Tell whether no rule is broken, and at least one was checked."""
        statuses = {judgement.status for judgement in self.judgements}
        return Status.BROKEN not in statuses and Status.KEPT in statuses

    @property
    def broken(self) -> set[str]:
        """Return the names of the rules that are broken."""
        return {each.rule.name for each in self.judgements if each.status is Status.BROKEN}


def judgement(rule: Rule, findings: list[Findings]) -> Judgement:
    """Put together what a rule found in each campaign.

    A rule that could not be decided for one campaign was not kept by all, as far as one knows.
    """
    violation_count = sum(each.violation_count for each in findings)
    checked_count = sum(each.checked_count for each in findings)
    # What was undecided comes first: it says what to add to the history.
    lacking = sorted(
        (each for each in findings if each.lacking),
        key=lambda each: (not each.is_undecided, each.lacking),
    )
    if violation_count:
        status = Status.BROKEN
    elif checked_count and not any(each.is_undecided for each in findings):
        status = Status.KEPT
    else:
        status = Status.NOT_CHECKED
    examples = [example for each in findings for example in each.examples]
    return Judgement(
        rule=rule,
        status=status,
        checked_count=checked_count,
        violation_count=violation_count,
        examples=examples[:EXAMPLES_MAX],
        lacking=lacking[0].lacking if lacking else ANY_CALL,
    )
