"""What a line asks of the database, how it shares connections, and that repeats stay exact."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from conftest import make_issuer, open_store
from support.stored import assert_sound, stored

from coupon_service.domain import Campaign, Claim, Issued, Sighting
from coupon_service.errors import StorageUnavailable
from coupon_service.session import Session
from coupon_service.store import Store

Create = Callable[..., Awaitable[Campaign]]

MEET, LOOK, CLAIM = "campaign", "coupons_of_users", "claim"


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, UUID]]:
    """Record what sessions ask of the database, and for which campaign."""
    made: list[tuple[str, UUID]] = []

    def record(name: str) -> None:
        ask = getattr(Session, name)

        async def recorded(session: Session, campaign_id: UUID, *rest: object) -> Any:  # noqa: ANN401 # the method's
            made.append((name, campaign_id))
            return await ask(session, campaign_id, *rest)

        monkeypatch.setattr(Session, name, recorded)

    for name in (MEET, LOOK, CLAIM):
        record(name)
    return made


async def _ask_one_after_the_other(store: Store, campaign: Campaign, user_ids: str) -> list[Issued]:
    """Let users ask, all at once, of a line that serves one at a time."""
    issuer = make_issuer(store, group_limit=1)
    claims = [Claim(campaign_id=campaign.campaign_id, user_id=user_id) for user_id in user_ids]
    return await asyncio.gather(*map(issuer.issue, claims))


async def _give(store: Store, campaign: Campaign, user_ids: str) -> None:
    """Let users have their coupons already, from another process."""
    await _ask_one_after_the_other(store, campaign, user_ids)


@pytest.mark.parametrize(
    ("users_with_coupons", "asking", "asked"),
    [
        ("", "abc", [CLAIM, CLAIM, CLAIM]),
        ("a", "a", [CLAIM, LOOK]),
        ("a", "abc", [CLAIM, LOOK, LOOK, CLAIM, CLAIM]),
        ("ab", "abcd", [CLAIM, LOOK, LOOK, LOOK, CLAIM, CLAIM]),
        ("ac", "abcd", [CLAIM, LOOK, LOOK, CLAIM, CLAIM, LOOK, LOOK, CLAIM]),
        ("c", "abcd", [CLAIM, CLAIM, CLAIM, LOOK, LOOK, CLAIM]),
    ],
)
async def test_users_are_looked_for_only_from_a_repeat_on_until_a_look_finds_none(
    create: Create,
    store: Store,
    statements: list[tuple[str, UUID]],
    *,
    users_with_coupons: str,
    asking: str,
    asked: list[str],
) -> None:
    campaign = await create()
    await _give(store, campaign, users_with_coupons)
    statements.clear()
    answers = await _ask_one_after_the_other(store, campaign, asking)
    assert [name for name, _ in statements] == [MEET, *asked]
    assert [answer.coupon.user_id for answer in answers] == list(asking)
    assert [answer.already_issued for answer in answers] == [
        user_id in users_with_coupons for user_id in asking
    ]


async def test_anonymous_claims_are_never_looked_for(
    create: Create, store: Store, statements: list[tuple[str, UUID]]
) -> None:
    campaign = await create()
    await _give(store, campaign, "a")
    statements.clear()
    issuer = make_issuer(store, group_limit=1)
    claims = [Claim(campaign_id=campaign.campaign_id, user_id=user) for user in ("a", "", "", "b")]
    await asyncio.gather(*map(issuer.issue, claims))
    # Nor do they say whether there are repeats: the user after them is looked for.
    assert [name for name, _ in statements] == [MEET, CLAIM, LOOK, CLAIM, CLAIM, LOOK, CLAIM]


async def test_however_many_groups_of_a_busy_line_are_tried_again_none_is_refused_for_it(
    create: Create, store: Store
) -> None:
    campaign = await create()
    repeating = "abcdefghijklmnopqrstuvwxyz"
    await _give(store, campaign, repeating)
    # After each repeat a new user, so that the next repeat is not looked for beforehand.
    asking = "".join(map("".join, zip(repeating, repeating.upper(), strict=True)))
    answers = await _ask_one_after_the_other(store, campaign, asking)
    assert [answer.already_issued for answer in answers] == [True, False] * len(repeating)


@pytest.mark.parametrize("round_number", range(20))
async def test_100_users_who_ask_three_times_of_two_processes_get_one_coupon_each(
    round_number: int,
    create: Create,
    stores: AsyncExitStack,
    connection: asyncpg.Connection,
    database_url: str,
) -> None:
    seed = random.randrange(2**32)
    print(f"round {round_number}, seed {seed}")  # noqa: T201 # to repeat a failing round
    chance = random.Random(seed)
    limit = chance.choice([100, 100, 1000, chance.randrange(1, 100)])
    issued_count = min(limit, 100)
    campaign = await create(limit=limit)
    issuers = [
        make_issuer(
            await open_store(stores, database_url, pool_size=2),
            group_limit=chance.choice([1, 3, 10, 50]),
        )
        for _ in "ab"
    ]
    claims = [
        Claim(campaign_id=campaign.campaign_id, user_id=f"user {i % 100}") for i in range(300)
    ]
    chance.shuffle(claims)
    delays = [chance.random() * chance.choice([0, 0.02, 0.1]) for _ in claims]

    async def call(claim: Claim, delay: float) -> Issued | BaseException:
        await asyncio.sleep(delay)
        asked = chance.choice(issuers).issue(claim)
        return (await asyncio.gather(asked, return_exceptions=True))[0]

    answers = await asyncio.gather(*map(call, claims, delays))
    found = await stored(connection, campaign.campaign_id)
    coupons = Counter(answer.coupon for answer in answers if isinstance(answer, Issued))

    assert found.issued_count == issued_count
    assert_sound(found)
    assert Counter(type(answer).__name__ for answer in answers) == Counter(
        Issued=3 * issued_count, CampaignSoldOut=300 - 3 * issued_count
    )
    assert sorted(coupons.values()) == [3] * issued_count
    assert sum(isinstance(a, Issued) and not a.already_issued for a in answers) == issued_count
    for coupon in coupons:
        place = coupon.sequence - 1
        assert (found.codes[place], found.user_ids[place]) == (coupon.code, coupon.user_id)
    assert [
        answer.coupon.user_id if isinstance(answer, Issued) else claim.user_id
        for claim, answer in zip(claims, answers, strict=True)
    ] == [claim.user_id for claim in claims]


async def test_a_busy_line_keeps_its_connection_while_others_are_free(
    create: Create, store: Store
) -> None:
    campaign = await create()
    lent = 0
    lend = store.session

    def counting() -> object:
        nonlocal lent
        lent += 1
        return lend()

    store.session = counting  # type: ignore[method-assign,assignment] # to count them
    await _ask_one_after_the_other(store, campaign, "abcdefghij")
    assert lent == 2, "one to meet the campaign, one for all claims"


async def test_busy_lines_share_connections_of_which_there_are_fewer(
    create: Create,
    stores: AsyncExitStack,
    database_url: str,
    statements: list[tuple[str, UUID]],
) -> None:
    campaigns = [await create() for _ in range(3)]
    store = await open_store(stores, database_url, pool_size=2)
    issuer = make_issuer(store, group_limit=1)
    for campaign in campaigns:  # so that none has to be met before its first claim
        await issuer.issue(Claim(campaign_id=campaign.campaign_id))
    async with store.session(), store.session():  # so that none has to wait for connecting
        statements.clear()
    claims = [Claim(campaign_id=each.campaign_id) for each in campaigns for _ in range(50)]
    await asyncio.gather(*map(issuer.issue, claims))
    order = [campaign_id for name, campaign_id in statements if name == CLAIM]
    first_turns = [order.index(each.campaign_id) for each in campaigns]
    last_turns = [149 - order[::-1].index(each.campaign_id) for each in campaigns]
    assert len(order) == 150
    assert max(first_turns) < min(last_turns)


async def test_who_is_left_over_by_a_grant_certainly_got_nothing_even_if_the_look_after_fails(
    create: Create, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = await create(limit=1)
    issuer = make_issuer(store)
    claim = Claim(campaign_id=campaign.campaign_id)
    seen = Session.campaign
    looks = 0

    async def failing_after_the_first(session: Session, campaign_id: UUID) -> Sighting | None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise StorageUnavailable
        return await seen(session, campaign_id)

    monkeypatch.setattr(Session, "campaign", failing_after_the_first)
    answers = await asyncio.gather(*(issuer.issue(claim) for _ in "abc"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Issued, StorageUnavailable, StorageUnavailable]
