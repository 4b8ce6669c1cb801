"""Every SQL statement that the service runs, and what each one locks.

All of them run under READ COMMITTED and in statements of their own unless said
otherwise. A statement that has waited for a row's lock sees the newest version
of that row, but reads everything else as of the moment before it waited; none
of these relies on more.
"""

CAMPAIGN_CHANGED_CHANNEL = "coupon_campaign_changed"

_CAMPAIGN_COLUMNS = """
    campaign.campaign_id, campaign.name, campaign.coupon_limit, campaign.issued_count,
    campaign.start_time, campaign.end_time, campaign.pause_time, campaign.create_time,
    campaign.claim_epoch, now() AS read_time
"""

_COUPON_COLUMNS = "code, campaign_id, sequence, user_id, issue_time"

# Locks nothing. $1 campaign_id.
CAMPAIGN = f"SELECT {_CAMPAIGN_COLUMNS} FROM campaign WHERE campaign_id = $1"

# Locks nothing. Coupons are never changed, and none is added below a sequence that was
# issued, so this reads the same whenever it runs.
# $1 campaign_id, $2 and $3 the first and the last sequence.
CODES = """
    SELECT ARRAY(
        SELECT code FROM coupon WHERE campaign_id = $1 AND sequence BETWEEN $2 AND $3
        ORDER BY sequence
    )
"""

# Locks nothing but what it inserts; a second call with the same campaign_id or
# request_id waits for the first and then inserts nothing.
# $1 campaign_id, $2 name, $3 coupon_limit, $4 start_time, $5 end_time,
# $6 request_id or NULL.
CREATE_CAMPAIGN = f"""
    INSERT INTO campaign (campaign_id, name, coupon_limit, start_time, end_time, request_id)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING
    RETURNING {_CAMPAIGN_COLUMNS}
"""

# Locks nothing. Finds what CREATE_CAMPAIGN did not insert again; a statement of
# its own, because only a newer snapshot is sure to see it.
# $1 campaign_id, $2 request_id or NULL.
CREATED_CAMPAIGN = f"""
    SELECT {_CAMPAIGN_COLUMNS} FROM campaign WHERE campaign_id = $1 OR request_id = $2
"""

# Locks nothing. One by one, each by the users' index: given all at once, some versions
# of PostgreSQL rather go through all of the campaign's coupons.
# $1 campaign_id, $2 user_ids, each once.
COUPONS_OF_USERS = f"""
    SELECT {_COUPON_COLUMNS} FROM unnest($2::text[]) AS asked (asked_id) CROSS JOIN LATERAL (
        SELECT * FROM coupon WHERE campaign_id = $1 AND user_id = asked_id LIMIT 1
    ) AS coupon
"""

# Locks the campaign's row until the commit. That is enough: the claims of a
# campaign go through its row one transaction at a time, each sees the count that
# the one before left, and the WHERE clause is checked again on the newest version
# of the row after every wait. The coupons are inserted only for what the UPDATE
# granted; a code or user that is taken fails the statement, which then leaves no
# trace. The issue time is the transaction's, so it lies between start_time and
# end_time like the condition itself, and never before an earlier coupon's.
# $1 campaign_id, $2 claim_epoch, $3 codes, $4 user_ids (NULL is anonymous).
CLAIM = """
    WITH granted AS (
        UPDATE campaign
        SET issued_before = issued_count,
            issued_count = LEAST(coupon_limit, issued_count + cardinality($3::text[])),
            last_issue_time = GREATEST(now(), last_issue_time)
        WHERE campaign_id = $1
          AND claim_epoch = $2
          AND issued_count < coupon_limit
          AND now() >= start_time
          AND (end_time IS NULL OR now() < end_time)
          AND pause_time IS NULL
        RETURNING campaign_id, issued_before, issued_count, coupon_limit, last_issue_time
    ), stored AS (
        INSERT INTO coupon (code, campaign_id, sequence, user_id, issue_time)
        SELECT claim.code, granted.campaign_id, granted.issued_before + claim.place,
               claim.user_id, granted.last_issue_time
        FROM granted, unnest($3::text[], $4::text[]) WITH ORDINALITY
             AS claim (code, user_id, place)
        WHERE claim.place <= granted.issued_count - granted.issued_before
    )
    SELECT issued_before, issued_count, coupon_limit, last_issue_time FROM granted
"""

# Locks the campaign's row until the commit of its transaction, so it waits for
# any claim under way; a claim that named the older epoch and has not got the row
# by then is never granted. $1 campaign_id.
RAISE_CLAIM_EPOCH = "UPDATE campaign SET claim_epoch = claim_epoch + 1 WHERE campaign_id = $1"

# Locks nothing. Run after RAISE_CLAIM_EPOCH in the same transaction: only a
# statement begun under the row's lock sees what the lock's last holder stored. It does
# not name the campaign, so that no index but that of the codes can serve it.
# $1 codes.
COUPONS_OF_CODES = f"SELECT {_COUPON_COLUMNS} FROM coupon WHERE code = ANY($1::text[])"

# Locks nothing.
SCHEMA_REVISION = "SELECT version_num FROM alembic_version"
