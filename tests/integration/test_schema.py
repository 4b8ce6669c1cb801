"""The schema: made and unmade by migrations, and what the database itself refuses."""

import asyncio
import sys
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from support.databases import Databases
from support.service import environment

from coupon_service import migrating, schema
from coupon_service.codes import random_codes
from coupon_service.schema import SchemaState

CAMPAIGN = "INSERT INTO campaign (campaign_id, name, coupon_limit, start_time) VALUES "
COUPON = "INSERT INTO coupon (code, campaign_id, sequence, user_id, issue_time) VALUES "


@pytest.fixture
async def empty_url(databases: Databases) -> AsyncIterator[str]:
    url = await databases.make_empty()
    yield url
    await databases.drop(url)


@pytest.fixture
async def campaign_id(connection: asyncpg.Connection) -> UUID:
    made = uuid4()
    await connection.execute(f"{CAMPAIGN} ($1, 'test', 5, now())", made)
    return made


async def _alembic(run: object, *arguments: object) -> None:
    await asyncio.to_thread(run, *arguments)  # type: ignore[arg-type] # one of Alembic's commands


async def _state(url: str) -> SchemaState:
    connection = await asyncpg.connect(url)
    try:
        return await schema.schema_state(connection)
    finally:
        await connection.close()


async def _objects(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " UNION SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        )
    finally:
        await connection.close()
    return sorted(row["name"] for row in rows if not row["name"].startswith("alembic"))


async def test_migrating_up_and_down_leaves_nothing_behind(empty_url: str) -> None:
    config = migrating.alembic_config(empty_url)
    await migrating.migrate(empty_url)
    assert {"campaign", "coupon", "notify_campaign_changed"} < set(await _objects(empty_url))
    await _alembic(command.downgrade, config, "base")
    assert await _objects(empty_url) == []
    await migrating.migrate(empty_url)
    assert await _state(empty_url) is SchemaState.CURRENT


async def test_the_migrations_and_the_metadata_describe_the_same_schema(
    database_url: str,
) -> None:
    await _alembic(command.check, migrating.alembic_config(database_url))


async def test_the_known_revisions_are_alembic_s_the_newest_first() -> None:
    scripts = ScriptDirectory.from_config(migrating.alembic_config(""))
    assert schema.known_revisions() == [each.revision for each in scripts.walk_revisions()]


async def test_the_checks_of_the_metadata_are_those_of_the_migrations(
    connection: asyncpg.Connection, databases: Databases, empty_url: str
) -> None:
    from sqlalchemy import CheckConstraint  # noqa: PLC0415 # for this test alone

    from coupon_service.tables import metadata  # noqa: PLC0415 # for this test alone

    made = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE contype = 'c'"
        " AND connamespace = 'public'::regnamespace"
    )
    described = [
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    ]
    assert sorted(row["conname"] for row in made) == sorted(described)
    assert databases.template not in empty_url


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_url: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "coupon_service",
            "migrate",
            env=environment(database_url=empty_url),
        )
        for _ in range(3)
    ]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    assert await _state(empty_url) is SchemaState.CURRENT


async def test_a_database_without_the_schema_is_old_and_one_from_a_later_release_is_newer(
    empty_url: str, database_url: str, connection: asyncpg.Connection
) -> None:
    assert await _state(empty_url) is SchemaState.OLD
    await connection.execute("UPDATE alembic_version SET version_num = 'a later one'")
    assert await _state(database_url) is SchemaState.NEWER


async def test_a_database_that_is_not_in_utf_8_is_refused(databases: Databases) -> None:
    name = f"{databases.prefix}_latin"
    await databases.run(f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    url = databases.url(name)
    with pytest.raises(migrating.UnfitDatabase, match="LATIN1"):
        await migrating.migrate(url)
    await databases.drop(url)


async def test_the_count_can_never_pass_the_limit(
    connection: asyncpg.Connection, campaign_id: UUID
) -> None:
    await connection.execute("UPDATE campaign SET issued_count = 5")
    for statement in ("issued_count = 6", "issued_count = -1", "coupon_limit = 4"):
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute(f"UPDATE campaign SET {statement}")
    assert campaign_id


async def test_a_code_can_be_used_once_in_all_campaigns(
    connection: asyncpg.Connection, campaign_id: UUID
) -> None:
    await connection.execute(f"{COUPON} ('가2', $1, 1, NULL, now())", campaign_id)
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await connection.execute(f"{COUPON} ('가2', $1, 1, NULL, now())", uuid4())
    assert refused.value.constraint_name == "coupon_pkey"


async def test_a_user_can_have_one_coupon_in_a_campaign(
    connection: asyncpg.Connection, campaign_id: UUID
) -> None:
    await connection.execute(f"{COUPON} ('가2', $1, 1, 'a', now())", campaign_id)
    await connection.execute(f"{COUPON} ('가3', $1, 1, 'a', now())", uuid4())
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await connection.execute(f"{COUPON} ('가4', $1, 2, 'a', now())", campaign_id)
    assert refused.value.constraint_name == "coupon_campaign_id_user_id_key"


async def test_a_place_in_line_can_be_taken_once(
    connection: asyncpg.Connection, campaign_id: UUID
) -> None:
    await connection.execute(f"{COUPON} ('가2', $1, 1, NULL, now())", campaign_id)
    with pytest.raises(asyncpg.UniqueViolationError) as refused:
        await connection.execute(f"{COUPON} ('가3', $1, 1, NULL, now())", campaign_id)
    assert refused.value.constraint_name == "coupon_campaign_id_sequence_key"


@pytest.mark.parametrize(
    "code", ["", "가나다라마바사아자차카", "A1", "가 2", "가2\n", "ㄱ2", "가-2", "가٢", "かな"]
)
async def test_a_code_that_is_not_1_to_10_syllables_and_digits_is_refused(
    code: str, connection: asyncpg.Connection, campaign_id: UUID
) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await connection.execute(f"{COUPON} ($2, $1, 1, NULL, now())", campaign_id, code)
    assert refused.value.constraint_name == "coupon_code_check"


async def test_every_drawn_code_is_accepted(
    connection: asyncpg.Connection, campaign_id: UUID
) -> None:
    await connection.executemany(
        f"{COUPON} ($2, $1, $3, NULL, now())",
        [(campaign_id, code, place) for place, code in enumerate(random_codes(1000), start=1)],
    )
    assert await connection.fetchval("SELECT count(*) FROM coupon") == 1000


@pytest.mark.parametrize(
    "values",
    [
        "(gen_random_uuid(), '', 5, now(), NULL, NULL)",
        "(gen_random_uuid(), repeat('가', 201), 5, now(), NULL, NULL)",
        "(gen_random_uuid(), 'x', 0, now(), NULL, NULL)",
        "(gen_random_uuid(), 'x', 10000001, now(), NULL, NULL)",
        "(gen_random_uuid(), 'x', 5, now(), now(), NULL)",
        "(gen_random_uuid(), 'x', 5, now(), NULL, '')",
    ],
)
async def test_a_campaign_that_cannot_be_is_refused(
    values: str, connection: asyncpg.Connection
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute(
            "INSERT INTO campaign"
            " (campaign_id, name, coupon_limit, start_time, end_time, request_id)"
            f" VALUES {values}"
        )


async def test_issuing_sends_no_notification_and_an_operator_s_change_does(
    connection: asyncpg.Connection, campaign_id: UUID
) -> None:
    heard: list[object] = []
    await connection.add_listener(
        "coupon_campaign_changed", lambda *arguments: heard.append(arguments[3])
    )
    await connection.execute("UPDATE campaign SET issued_count = 1, claim_epoch = 7")
    await connection.execute("UPDATE campaign SET coupon_limit = 6")
    await connection.execute("UPDATE campaign SET pause_time = now()")
    async with asyncio.timeout(10):
        while len(heard) < 2:
            await asyncio.sleep(0.01)
    assert heard == [str(campaign_id)] * 2
