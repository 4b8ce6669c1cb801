"""Who calls, and what that allows."""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What credentials are for.

    ADMIN may make every call, issue coupons included: an operator does everything with
    one token. ISSUER claims for anybody and sees campaigns without their codes. USER
    claims for itself alone.
    """

    ADMIN = "admin"
    ISSUER = "issuer"
    USER = "user"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who calls: `key` tells it from others of its role, `user_id` is a user's own."""

    role: Role
    key: str
    user_id: str = ""


# Who makes the present call; set only where credentials are asked for.
present: ContextVar[Identity] = ContextVar("present")
