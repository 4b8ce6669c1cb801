"""Campaigns, their coupons, and a notification when an operator changes a campaign."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables and the notification."""
    _create_campaign()
    _create_coupon()
    _create_notification()


def downgrade() -> None:
    """Drop everything."""
    op.drop_table("coupon")
    op.drop_table("campaign")
    op.execute("DROP FUNCTION notify_campaign_changed()")


def _create_campaign() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "campaign",
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("coupon_limit", sa.Integer(), nullable=False),
        sa.Column("issued_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("issued_before", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("start_time", instant, nullable=False),
        sa.Column("end_time", instant),
        sa.Column("pause_time", instant),
        sa.Column("create_time", instant, server_default=sa.func.now(), nullable=False),
        sa.Column("last_issue_time", instant),
        sa.Column("claim_epoch", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("request_id", sa.Text(collation="C")),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 200", op.f("campaign_name_check")),
        sa.CheckConstraint(
            "coupon_limit BETWEEN 1 AND 10000000", op.f("campaign_coupon_limit_check")
        ),
        sa.CheckConstraint(
            "issued_count BETWEEN 0 AND coupon_limit", op.f("campaign_issued_count_check")
        ),
        sa.CheckConstraint("end_time > start_time", op.f("campaign_end_time_check")),
        sa.CheckConstraint(
            "char_length(request_id) BETWEEN 1 AND 128", op.f("campaign_request_id_check")
        ),
        sa.PrimaryKeyConstraint("campaign_id", name="campaign_pkey"),
        sa.UniqueConstraint("request_id", name="campaign_request_id_key"),
        postgresql_with={"fillfactor": "20"},
    )


def _create_coupon() -> None:
    op.create_table(
        "coupon",
        sa.Column("code", sa.Text(collation="C"), nullable=False),
        sa.Column("campaign_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(collation="C")),
        sa.Column("issue_time", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("code ~ '^[가-힣0-9]{1,10}$'", op.f("coupon_code_check")),
        sa.CheckConstraint("sequence >= 1", op.f("coupon_sequence_check")),
        sa.CheckConstraint("char_length(user_id) BETWEEN 1 AND 128", op.f("coupon_user_id_check")),
        sa.PrimaryKeyConstraint("code", name="coupon_pkey"),
    )
    op.create_index(
        "coupon_campaign_id_sequence_key", "coupon", ["campaign_id", "sequence"], unique=True
    )
    op.create_index(
        "coupon_campaign_id_user_id_key",
        "coupon",
        ["campaign_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )


def _create_notification() -> None:
    # UPDATE OF fires only for statements that name these columns, so issuing,
    # which does not, pays nothing.
    op.execute("""
        CREATE FUNCTION notify_campaign_changed() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_notify('coupon_campaign_changed', NEW.campaign_id::text);
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER campaign_changed
        AFTER UPDATE OF coupon_limit, start_time, end_time, pause_time ON campaign
        FOR EACH ROW EXECUTE FUNCTION notify_campaign_changed()
    """)
