"""The schema: SQLAlchemy metadata, from which Alembic's migrations are made.

Nothing runs queries through it; the statements are in `queries`. What the
database must refuse whoever writes to it is said here as constraints.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

# Bytewise comparison: equal means the same bytes, whatever the database's
# locale, and indexes need no collation rules.
Bytewise = Text(collation="C")
Instant = DateTime(timezone=True)

campaign = Table(
    "campaign",
    metadata,
    Column("campaign_id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("coupon_limit", Integer, nullable=False),
    Column("issued_count", Integer, nullable=False, server_default=text("0")),
    # What issued_count was before the newest group of claims: a statement that
    # raises the count up to the limit learns from it how many it was granted.
    Column("issued_before", Integer, nullable=False, server_default=text("0")),
    Column("start_time", Instant, nullable=False),
    Column("end_time", Instant),
    Column("pause_time", Instant),
    Column("create_time", Instant, nullable=False, server_default=func.now()),
    # Keeps issue times in the order of the sequence when transactions overlap.
    Column("last_issue_time", Instant),
    # A claim names the epoch it was made for; raising it makes sure that a claim
    # sent over a broken connection can no longer be granted.
    Column("claim_epoch", BigInteger, nullable=False, server_default=text("0")),
    Column("request_id", Bytewise, unique=True),
    CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name"),
    CheckConstraint("coupon_limit BETWEEN 1 AND 10000000", name="coupon_limit"),
    CheckConstraint("issued_count BETWEEN 0 AND coupon_limit", name="issued_count"),
    CheckConstraint("end_time > start_time", name="end_time"),
    CheckConstraint("char_length(request_id) BETWEEN 1 AND 128", name="request_id"),
    # The row is rewritten by every group of claims; with room in its page the
    # new version stays there and no index is touched.
    postgresql_with={"fillfactor": "20"},
)

coupon = Table(
    "coupon",
    metadata,
    Column("code", Bytewise, primary_key=True),
    # No foreign key: checking it for each row more than doubles what a coupon costs, and
    # coupons are only ever inserted from the campaign's own row, under its lock.
    Column("campaign_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("user_id", Bytewise),
    Column("issue_time", Instant, nullable=False),
    CheckConstraint("code ~ '^[가-힣0-9]{1,10}$'", name="code"),
    CheckConstraint("sequence >= 1", name="sequence"),
    CheckConstraint("char_length(user_id) BETWEEN 1 AND 128", name="user_id"),
    Index("coupon_campaign_id_sequence_key", "campaign_id", "sequence", unique=True),
    # Anonymous coupons have no user to keep apart, so they need no entry.
    Index(
        "coupon_campaign_id_user_id_key",
        "campaign_id",
        "user_id",
        unique=True,
        postgresql_where=text("user_id IS NOT NULL"),
    ),
)
