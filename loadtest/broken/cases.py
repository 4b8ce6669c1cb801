"""Which issuer is put through what, and the rules that must then be named."""

from dataclasses import dataclass

from loadtest.broken import answering, counting, loads, timing
from loadtest.broken.loads import Load
from loadtest.broken.plain import Plain
from loadtest.checker import Verdict

SERVICE = "service"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An issuer, loads that bring its mistake out, and the rules that it then breaks.

    An issuer without a mistake breaks none.
    """

    issuer: str
    mistake: str
    loads: tuple[Load, ...]
    rules: frozenset[str] = frozenset()

    def is_judged_rightly(self, verdict: Verdict) -> bool:
        """Tell whether the rules were named that the issuer breaks, or none if it breaks none."""
        return self.rules <= verdict.broken if self.rules else verdict.is_kept


def _case(issuer: type[Plain], load: Load, *rules: str) -> Case:
    mistake = (issuer.__doc__ or "").partition("\n")[0]
    return Case(issuer=issuer.__name__, mistake=mistake, loads=(load,), rules=frozenset(rules))


CASES = (
    _case(counting.ReadsThenWrites, loads.ANONYMOUS_RACE, "limit"),
    _case(counting.CountsInMemory, loads.TWO_SERVERS, "limit", "sequences"),
    _case(counting.SnapshotBeforeLock, loads.RACE, "answers"),
    _case(counting.CountsBeforeStoring, loads.RACE, "exact", "sequences"),
    _case(counting.NumbersInBlocks, loads.TWO_SERVERS, "order"),
    _case(counting.CountsClaimsUnderWay, loads.ANONYMOUS_RACE, "sold_out"),
    _case(counting.RemembersSoldOutTooEarly, loads.ANONYMOUS_RACE, "exact"),
    _case(timing.OpensByItsOwnClock, loads.OPENING, "start"),
    _case(timing.OpensByItsOwnClock, loads.RACE, "ended"),
    _case(timing.StampsByItsOwnClock, loads.RACE, "clock"),
    _case(timing.LooksOnceASecond, loads.OPENING, "not_started"),
    _case(timing.LooksOnceASecond, loads.ENDING, "end"),
    _case(answering.AnswersBeforeStoring, loads.KILLED, "stored"),
    _case(answering.GivesUpWaiting, loads.WITHOUT_END, "accounted"),
    _case(answering.KeepsTheClaimInAnAttribute, loads.RACE, "own"),
    _case(answering.LooksUpBeforeLocking, loads.TRIPLETS_RACE, "user"),
    _case(answering.IssuesAnewOnRetry, loads.LOST_ANSWERS, "user"),
    _case(answering.DrawsCodesForOneCampaign, loads.TWO_CAMPAIGNS, "codes"),
    _case(answering.ShowsItsPool, loads.RACE, "snapshot"),
    _case(answering.CountsAndReadsApart, loads.MANY_READS, "snapshot"),
)

# An issuer without a mistake must get through everything that the others are put through.
_ALL_LOADS = tuple(dict.fromkeys(load for case in CASES for load in case.loads))
SOUND = (
    Case(issuer=Plain.__name__, mistake="None: the issuer they are made from.", loads=_ALL_LOADS),
    Case(issuer=SERVICE, mistake="None: the service itself.", loads=_ALL_LOADS),
)
