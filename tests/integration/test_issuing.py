"""What an Issuer promises, on a real database."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest
from conftest import make_issuer, open_store
from support.databases import Databases
from support.locks import row_locked, until_statements_wait
from support.stored import assert_sound, stored

from coupon_service import queries
from coupon_service.codes import random_codes
from coupon_service.domain import Campaign, Claim, Issued, Sighting
from coupon_service.errors import (
    CampaignEnded,
    CampaignNotFound,
    CampaignNotStarted,
    CampaignPaused,
    CampaignSoldOut,
    OutcomeUnknown,
    Overloaded,
)
from coupon_service.issuing import Issuer
from coupon_service.store import Store

Create = Callable[..., Awaitable[Campaign]]


async def _all(issuer: Issuer, *claims: Claim) -> list[Issued | BaseException]:
    return await asyncio.gather(*map(issuer.issue, claims), return_exceptions=True)


def _kinds(answers: Sequence[Issued | BaseException]) -> list[str]:
    return sorted(type(answer).__name__ for answer in answers)


async def test_500_callers_for_100_coupons_get_exactly_100(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    campaign = await create(limit=100)
    answers = await _all(issuer, *[Claim(campaign_id=campaign.campaign_id)] * 500)
    issued = [a for a in answers if isinstance(a, Issued)]
    sold_out = sum(isinstance(a, CampaignSoldOut) for a in answers)
    found = await stored(connection, campaign.campaign_id)

    assert (len(issued), sold_out, found.issued_count) == (100, 400, 100)
    assert [a.coupon.code for a in issued] == found.codes
    assert_sound(found)


async def test_claims_in_line_are_answered_in_the_order_they_came(
    create: Create, store: Store
) -> None:
    campaign = await create(limit=50)
    issuer = make_issuer(store, group_limit=7)
    answers = await _all(issuer, *[Claim(campaign_id=campaign.campaign_id)] * 50)
    assert [a.coupon.sequence for a in answers if isinstance(a, Issued)] == list(range(1, 51))


async def test_an_answer_shows_the_coupon_as_it_is_stored(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    campaign = await create()
    coupon = (await issuer.issue(Claim(campaign_id=campaign.campaign_id, user_id="a"))).coupon
    row = await connection.fetchrow("SELECT * FROM coupon")
    assert row is not None
    assert (coupon.code, coupon.campaign_id, coupon.sequence, coupon.user_id) == (
        row["code"],
        row["campaign_id"],
        row["sequence"],
        row["user_id"],
    )
    assert coupon.issue_time == row["issue_time"]


async def test_a_user_who_asks_again_gets_the_same_coupon(create: Create, issuer: Issuer) -> None:
    claim = Claim(campaign_id=(await create()).campaign_id, user_id="a")
    first, again = await issuer.issue(claim), await issuer.issue(claim)
    assert (first.already_issued, again.already_issued) == (False, True)
    assert first.coupon == again.coupon


async def test_a_user_who_asks_many_times_at_once_gets_one_coupon(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    campaign = await create()
    answers = await _all(issuer, *[Claim(campaign_id=campaign.campaign_id, user_id="a")] * 20)
    assert [a.already_issued for a in answers if isinstance(a, Issued)] == [False] + [True] * 19
    assert len({a.coupon for a in answers if isinstance(a, Issued)}) == 1
    assert (await stored(connection, campaign.campaign_id)).issued_count == 1


@pytest.mark.parametrize("closed_by", ["sold out", "ended", "paused"])
async def test_a_user_gets_its_coupon_again_after_the_campaign_is(
    closed_by: str, create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    campaign = await create(limit=1 if closed_by == "sold out" else 10)
    claim = Claim(campaign_id=campaign.campaign_id, user_id="a")
    first = await make_issuer(store).issue(claim)
    if closed_by == "ended":
        await connection.execute("UPDATE campaign SET end_time = now()")
    if closed_by == "paused":
        await connection.execute("UPDATE campaign SET pause_time = now()")
    other = Claim(campaign_id=campaign.campaign_id, user_id="b")
    issuer = make_issuer(store)
    for _ in range(2):  # first asked of the database, then known to the gate
        again, refused = await _all(issuer, claim, other)
        assert isinstance(again, Issued)
        assert (again.coupon, again.already_issued) == (first.coupon, True)
        assert isinstance(refused, CampaignSoldOut | CampaignEnded | CampaignPaused)


async def test_a_user_has_one_coupon_in_each_campaign(create: Create, issuer: Issuer) -> None:
    claims = [Claim(campaign_id=(await create()).campaign_id, user_id="a") for _ in range(3)]
    answers = await _all(issuer, *claims)
    assert [a.already_issued for a in answers if isinstance(a, Issued)] == [False] * 3


async def test_a_drawn_code_that_exists_is_drawn_again_and_costs_nobody_a_coupon(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    earlier, campaign = await create(limit=5), await create(limit=10)
    taken = (await make_issuer(store).issue(Claim(campaign_id=earlier.campaign_id))).coupon.code
    draws = 0

    def draw(count: int) -> list[str]:
        nonlocal draws
        draws += 1
        codes = random_codes(count)
        return [taken, *codes[1:]] if draws <= 3 else codes

    issuer = make_issuer(store, draw_codes=draw)
    answers = await _all(issuer, *[Claim(campaign_id=campaign.campaign_id)] * 12)
    assert _kinds(answers) == ["CampaignSoldOut"] * 2 + ["Issued"] * 10
    assert draws == 4
    assert_sound(await stored(connection, campaign.campaign_id))


async def test_the_same_code_drawn_twice_in_a_group_is_drawn_again(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    campaign = await create(limit=10)
    draws = iter([["가2"] * 10, random_codes(10)])
    issuer = make_issuer(store, draw_codes=lambda _count: next(draws))
    answers = await _all(issuer, *[Claim(campaign_id=campaign.campaign_id)] * 10)
    assert _kinds(answers) == ["Issued"] * 10
    assert_sound(await stored(connection, campaign.campaign_id))


async def test_a_claim_whose_deadline_has_passed_takes_nothing(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    campaign = await create()
    late = Claim(campaign_id=campaign.campaign_id, deadline=time.monotonic())
    assert _kinds(await _all(issuer, late)) == ["TimeoutError"]
    assert (await stored(connection, campaign.campaign_id)).issued_count == 0


async def test_a_claim_whose_deadline_passes_in_line_takes_nothing(
    create: Create, issuer: Issuer, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create()
    async with row_locked(connection, campaign.campaign_id):
        first = asyncio.create_task(issuer.issue(Claim(campaign_id=campaign.campaign_id)))
        await until_statements_wait(database_url)
        deadline = time.monotonic() + 0.1
        late = asyncio.create_task(
            issuer.issue(Claim(campaign_id=campaign.campaign_id, deadline=deadline))
        )
        while time.monotonic() < deadline:
            await asyncio.sleep(0.01)
    assert (await first).coupon.sequence == 1
    assert _kinds(await asyncio.gather(late, return_exceptions=True)) == ["TimeoutError"]
    assert (await stored(connection, campaign.campaign_id)).issued_count == 1


async def test_a_claim_whose_caller_has_gone_before_its_turn_takes_nothing(
    create: Create, issuer: Issuer, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create()
    claim = Claim(campaign_id=campaign.campaign_id)
    async with row_locked(connection, campaign.campaign_id):
        first = asyncio.create_task(issuer.issue(claim))
        await until_statements_wait(database_url)
        leavers = [asyncio.create_task(issuer.issue(claim)) for _ in range(5)]
        stayer = asyncio.create_task(issuer.issue(claim))
        await asyncio.sleep(0)
        for leaver in leavers:
            leaver.cancel()
    assert [(await task).coupon.sequence for task in (first, stayer)] == [1, 2]
    answers = await asyncio.gather(*leavers, return_exceptions=True)
    assert _kinds(answers) == ["CancelledError"] * 5
    assert (await stored(connection, campaign.campaign_id)).issued_count == 2


async def test_an_anonymous_caller_who_goes_while_its_claim_is_stored_is_told_that_nobody_knows(
    create: Create, issuer: Issuer, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create()
    async with row_locked(connection, campaign.campaign_id):
        anonymous = asyncio.create_task(issuer.issue(Claim(campaign_id=campaign.campaign_id)))
        known = asyncio.create_task(
            issuer.issue(Claim(campaign_id=campaign.campaign_id, user_id="a"))
        )
        await until_statements_wait(database_url)
        anonymous.cancel()
        known.cancel()
        answers = await asyncio.gather(anonymous, known, return_exceptions=True)
    await issuer.close()
    assert [type(answer) for answer in answers] == [OutcomeUnknown, asyncio.CancelledError]
    repeat = await issuer.issue(Claim(campaign_id=campaign.campaign_id, user_id="a"))
    assert (repeat.already_issued, repeat.coupon.sequence) == (True, 2)
    assert_sound(await stored(connection, campaign.campaign_id))


async def test_a_full_line_refuses_at_once_and_nothing_is_issued_for_it(
    create: Create, store: Store, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create()
    issuer = make_issuer(store, queue_limit=3)
    claim = Claim(campaign_id=campaign.campaign_id)
    async with row_locked(connection, campaign.campaign_id):
        first = asyncio.create_task(issuer.issue(claim))
        await until_statements_wait(database_url)
        waiting = [asyncio.create_task(issuer.issue(claim)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await issuer.issue(claim)
    answers = await asyncio.gather(first, *waiting)
    assert [a.coupon.sequence for a in answers] == [1, 2, 3, 4]
    assert (await stored(connection, campaign.campaign_id)).issued_count == 4


async def test_a_full_line_does_not_hold_up_another_campaign(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    busy, quiet = await create(), await create()
    issuer = make_issuer(store, queue_limit=1)
    async with row_locked(connection, busy.campaign_id):
        held = [asyncio.create_task(issuer.issue(Claim(campaign_id=busy.campaign_id)))]
        answer = await issuer.issue(Claim(campaign_id=quiet.campaign_id))
    await asyncio.gather(*held)
    assert answer.coupon.sequence == 1


async def test_a_row_locked_for_too_long_is_an_outage_and_issues_nothing(
    create: Create, stores: AsyncExitStack, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create()
    impatient = await stores.enter_async_context(
        Store.open(database_url, pool_size=2, connect_seconds_max=5, statement_seconds_max=0.2)
    )
    async with row_locked(connection, campaign.campaign_id):
        answers = await _all(
            make_issuer(impatient),
            Claim(campaign_id=campaign.campaign_id),
            Claim(campaign_id=campaign.campaign_id, user_id="a"),
        )
    assert _kinds(answers) == ["StorageUnavailable"] * 2
    assert (await stored(connection, campaign.campaign_id)).issued_count == 0


async def _other_process_claims(
    connection: asyncpg.Connection, campaign: Campaign, *user_ids: str
) -> None:
    """Claim as another process would, in a transaction that the caller holds open."""
    await connection.fetchrow(
        queries.CLAIM, campaign.campaign_id, 0, random_codes(len(user_ids)), user_ids
    )


async def test_a_user_whose_coupon_sold_the_campaign_out_while_it_waited_is_shown_it(
    create: Create, issuer: Issuer, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create(limit=1)
    async with connection.transaction():
        await _other_process_claims(connection, campaign, "a")
        waiting = [
            asyncio.create_task(
                issuer.issue(Claim(campaign_id=campaign.campaign_id, user_id=user_id))
            )
            for user_id in ("a", "b")
        ]
        await until_statements_wait(database_url)
    own, refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(own, Issued)
    assert (own.coupon.user_id, own.coupon.sequence, own.already_issued) == ("a", 1, True)
    assert isinstance(refused, CampaignSoldOut)


async def test_a_user_left_over_when_the_last_coupons_are_granted_is_shown_the_one_it_has(
    create: Create, issuer: Issuer, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create(limit=2)
    async with connection.transaction():
        await _other_process_claims(connection, campaign, "a")
        waiting = [
            asyncio.create_task(
                issuer.issue(Claim(campaign_id=campaign.campaign_id, user_id=user_id))
            )
            for user_id in ("b", "a", "c")
        ]
        await until_statements_wait(database_url)
    granted, own, refused = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(granted, Issued)
    assert isinstance(own, Issued)
    assert (granted.coupon.sequence, granted.already_issued) == (2, False)
    assert (own.coupon.user_id, own.coupon.sequence, own.already_issued) == ("a", 1, True)
    assert isinstance(refused, CampaignSoldOut)


async def test_made_up_campaigns_leave_connections_for_real_claims(
    create: Create, stores: AsyncExitStack, database_url: str
) -> None:
    campaign = await create()
    store = await open_store(stores, database_url, pool_size=4)
    issuer = make_issuer(store)
    await issuer.issue(Claim(campaign_id=campaign.campaign_id))
    in_use, most_in_use = 0, 0
    read = store.campaign

    async def counted(campaign_id: UUID) -> Sighting | None:
        nonlocal in_use, most_in_use
        in_use = store._lending._lent_count
        most_in_use = max(most_in_use, in_use)
        return await read(campaign_id)

    store.campaign = counted  # type: ignore[method-assign] # to look at the pool
    answers = await _all(issuer, *[Claim(campaign_id=uuid4()) for _ in range(500)])
    assert _kinds(answers) == ["CampaignNotFound"] * 500
    assert most_in_use <= 2


async def test_an_unknown_campaign_is_refused(issuer: Issuer) -> None:
    with pytest.raises(CampaignNotFound):
        await issuer.issue(Claim(campaign_id=uuid4()))


async def test_a_campaign_that_has_not_started_is_refused_with_the_time_left(
    create: Create, issuer: Issuer
) -> None:
    start_time = datetime.now(UTC) + timedelta(hours=1)
    campaign = await create(start_time=start_time)
    for _ in range(2):  # first asked of the database, then known to the gate
        with pytest.raises(CampaignNotStarted) as refused:
            await issuer.issue(Claim(campaign_id=campaign.campaign_id, user_id="a"))
        assert refused.value.start_time == start_time
        assert timedelta(minutes=59) < refused.value.time_left <= timedelta(hours=1)


async def test_a_paused_campaign_is_refused_until_it_is_resumed(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    claim = Claim(campaign_id=(await create()).campaign_id)
    await connection.execute("UPDATE campaign SET pause_time = now()")
    assert _kinds(await _all(issuer, claim)) == ["CampaignPaused"]
    await connection.execute("UPDATE campaign SET pause_time = NULL")
    assert (await issuer.issue(claim)).coupon.sequence == 1


async def test_nothing_is_issued_from_the_end_on(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    end_time = datetime.now(UTC) + timedelta(seconds=0.5)
    campaign = await create(limit=100_000, end_time=end_time)
    answers: list[Issued | BaseException] = []
    while not answers or not isinstance(answers[-1], CampaignEnded):
        answers += await _all(issuer, Claim(campaign_id=campaign.campaign_id))
    assert {type(a) for a in answers} == {Issued, CampaignEnded}
    latest = await connection.fetchval("SELECT max(issue_time) FROM coupon")
    assert latest < end_time


async def test_a_claim_made_for_an_older_epoch_is_tried_again_with_the_new_one(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    claim = Claim(campaign_id=(await create()).campaign_id)
    await issuer.issue(claim)
    await connection.execute("UPDATE campaign SET claim_epoch = claim_epoch + 1")
    assert (await issuer.issue(claim)).coupon.sequence == 2


async def test_issue_times_follow_the_order_of_the_sequence(
    create: Create, issuer: Issuer, connection: asyncpg.Connection, database_url: str
) -> None:
    campaign = await create()
    async with row_locked(connection, campaign.campaign_id):
        early = asyncio.create_task(issuer.issue(Claim(campaign_id=campaign.campaign_id)))
        await until_statements_wait(database_url)
        # Another process's coupon, issued later than the waiting transaction began.
        await connection.execute(
            "UPDATE campaign SET issued_count = 1, last_issue_time = clock_timestamp()"
        )
        earlier = await connection.fetchval("SELECT last_issue_time FROM campaign")
    assert (await early).coupon.issue_time >= earlier


@pytest.mark.parametrize("round_number", range(10))
async def test_racing_processes_with_repeats_and_leavers_stay_exact(
    round_number: int,
    create: Create,
    stores: AsyncExitStack,
    connection: asyncpg.Connection,
    database_url: str,
) -> None:
    seed = random.randrange(2**32)
    print(f"round {round_number}, seed {seed}")  # noqa: T201 # to repeat a failing round
    chance = random.Random(seed)
    limit = chance.randrange(1, 200)
    campaign = await create(limit=limit)
    issuers = [
        make_issuer(
            await open_store(stores, database_url, pool_size=2),
            group_limit=chance.randrange(1, 50),
        )
        for _ in range(3)
    ]
    user_ids = ["", *(f"user {i}" for i in range(chance.randrange(1, 150)))]

    async def call() -> Issued | BaseException:
        claim = Claim(campaign_id=campaign.campaign_id, user_id=chance.choice(user_ids))
        task = asyncio.create_task(chance.choice(issuers).issue(claim))
        if chance.random() < 0.1:
            await asyncio.sleep(chance.random() / 100)
            task.cancel()
        return (await asyncio.gather(task, return_exceptions=True))[0]

    answers = await asyncio.gather(*(call() for _ in range(600)))
    for issuer in issuers:
        await issuer.close()
    found = await stored(connection, campaign.campaign_id)

    assert_sound(found)
    for answer in answers:
        if isinstance(answer, Issued):
            coupon = answer.coupon
            place = coupon.sequence - 1
            assert (found.codes[place], found.user_ids[place] or "") == (
                coupon.code,
                coupon.user_id,
            )
    if any(isinstance(answer, CampaignSoldOut) for answer in answers):
        assert found.issued_count == limit
    allowed = {Issued, CampaignSoldOut, asyncio.CancelledError, OutcomeUnknown}
    assert {type(answer) for answer in answers} <= allowed


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
async def test_racing_processes_stay_exact_whatever_isolation_is_the_database_s_default(
    isolation: str,
    create: Create,
    stores: AsyncExitStack,
    connection: asyncpg.Connection,
    database_url: str,
) -> None:
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(
        f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'"
    )
    campaign = await create(limit=100)
    issuers = [make_issuer(await open_store(stores, database_url), group_limit=10) for _ in "ab"]
    claims = [Claim(campaign_id=campaign.campaign_id)] * 100
    async with row_locked(connection, campaign.campaign_id):
        calling = [asyncio.create_task(_all(issuer, *claims)) for issuer in issuers]
        # Of these two the second finds the row changed when it gets it.
        await until_statements_wait(database_url, 2)
    answers = [answer for each in await asyncio.gather(*calling) for answer in each]
    found = await stored(connection, campaign.campaign_id)

    assert _kinds(answers) == ["CampaignSoldOut"] * 100 + ["Issued"] * 100
    assert sorted(a.coupon.code for a in answers if isinstance(a, Issued)) == sorted(found.codes)
    assert found.issued_count == 100
    assert_sound(found)


async def test_no_query_is_made_for_refusals_that_are_known(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    sold_out, ended = await create(limit=1), await create(limit=5)
    await connection.execute(
        "UPDATE campaign SET end_time = now() - interval '1 hour' WHERE campaign_id = $1",
        ended.campaign_id,
    )
    coming = await create(start_time=datetime.now(UTC) + timedelta(hours=1))
    claims = [Claim(campaign_id=each.campaign_id) for each in (sold_out, ended, coming)]
    issuer = make_issuer(store, gate_seconds_max=600)
    await _all(issuer, *claims)
    await _all(issuer, *claims)
    sessions = 0
    lend = store.session

    def counting() -> object:
        nonlocal sessions
        sessions += 1
        return lend()

    store.session = counting  # type: ignore[method-assign,assignment] # to count them
    answers = await _all(issuer, *claims * 100)
    assert _kinds(answers) == (
        ["CampaignEnded"] * 100 + ["CampaignNotStarted"] * 100 + ["CampaignSoldOut"] * 100
    )
    assert sessions == 0


async def test_what_the_gate_knows_is_asked_again_after_its_time(
    create: Create, store: Store, connection: asyncpg.Connection
) -> None:
    claim = Claim(campaign_id=(await create(limit=1)).campaign_id)
    issuer = make_issuer(store, gate_seconds_max=0.05)
    assert _kinds(await _all(issuer, claim, claim)) == ["CampaignSoldOut", "Issued"]
    await connection.execute("UPDATE campaign SET coupon_limit = 2")
    await asyncio.sleep(0.06)
    assert (await issuer.issue(claim)).coupon.sequence == 2


async def test_an_unforeseen_error_reaches_the_callers_and_the_line_goes_on(
    create: Create, issuer: Issuer, connection: asyncpg.Connection
) -> None:
    claim = Claim(campaign_id=(await create()).campaign_id)
    await connection.execute("ALTER TABLE coupon RENAME TO elsewhere")
    assert _kinds(await _all(issuer, claim)) == ["UndefinedTableError"]
    await connection.execute("ALTER TABLE elsewhere RENAME TO coupon")
    assert (await issuer.issue(claim)).coupon.sequence == 1


async def test_a_database_that_is_away_is_an_outage_and_needs_no_restart_when_it_is_back(
    create: Create, store: Store, databases: Databases, database_url: str
) -> None:
    campaign_id = (await create()).campaign_id
    issuer = make_issuer(store, settle_seconds_max=0.1)
    await issuer.issue(Claim(campaign_id=campaign_id))
    async with databases.away(database_url):
        for user_id in ("a", "b"):
            away = await _all(issuer, Claim(campaign_id=campaign_id, user_id=user_id))
            assert _kinds(away) == ["StorageUnavailable"]
        assert _kinds(await _all(issuer, Claim(campaign_id=campaign_id))) == ["StorageUnavailable"]
    assert (await issuer.issue(Claim(campaign_id=campaign_id))).coupon.sequence == 2
