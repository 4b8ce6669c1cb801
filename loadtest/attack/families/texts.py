"""Texts of every kind in every field: stored and returned as they are, or refused."""

import json
import re
from collections.abc import Mapping

from loadtest.attack.answers import Answer, Exchange
from loadtest.attack.families.family import Family
from loadtest.attack.round import Round
from loadtest.attack.shots import call

NAME_MAX, ID_MAX = 200, 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

TEXTS = (
    "'; DROP TABLE coupon; --",
    "' OR '1'='1",
    "x') ON CONFLICT DO NOTHING; UPDATE campaign SET issued_count = 0; --",
    "$1 $2 %s %(name)s {0} {name!r} ${PATH} %n%n%n",
    "{{7*7}} <%= 7 %> #{7} ${jndi:ldap://127.0.0.1/x}",
    "$(id) `id` | id; id & id",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "\\' \\\" \\\\ \\u0000 \\x00 E'\\\\x'",
    "../../../../etc/passwd",
    "NULL",
    "null",
    "NaN",
    "0",
    " ",
    "\u00a0",
    "\u200b\u200d\ufeff\u2060",
    "\u202e\u2066txt.exe\u2069",
    "e\u0301 \u00e9 \u1112\u1161\u11ab 한",
    "Z" + "\u0351\u0300\u0489" * 60,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1f0\U0001f1f7 \U000e0041",
    "\U0010ffff\ufffe\uffff\ufdd0",
    "\u2028\u2029",
    "\uff46\uff55\uff4c\uff4c\u3000\uff57",
    "\u01c5 ß \u0131 \u0130 \u017f \u212a",
    "٣٤٥",
    "\ud800",
    "\udfff x",
    "\udc00\ud800",
    "가" * 128,
    "가" * 200,
    "가" * 201,
    "\U0001f600" * 200,
    "x" * 129,
    "x" * 10_000,
    "",
)
CONTROLS = tuple(f"a{chr(number)}b" for number in (*range(0x20), *range(0x7F, 0xA0)))


async def strike(at_work: Round) -> None:
    """Put each text into each field, in an order by chance."""
    texts = [*TEXTS, *CONTROLS]
    for text in at_work.chance.sample(texts, len(texts)):
        if at_work.is_over:
            return
        await _as_name(at_work, text)
        await _as_user(at_work, text)
        await _as_id(at_work, text)


def is_storable(text: str, characters_max: int) -> bool:
    """Tell whether the contract lets a text be stored."""
    is_unfit = _CONTROL.search(text) or _SURROGATE.search(text)
    return 1 <= len(text) <= characters_max and not is_unfit


async def _as_name(at_work: Round, text: str) -> None:
    fields = {"name": text, "couponLimit": 1, "startTime": "2020-01-01T00:00:00Z"}
    got = await _ask(at_work, "CreateCampaign", fields)
    if not is_storable(text, NAME_MAX):
        return _expect_refused(at_work, "name", text, got)
    name = _at(got, "campaign", "name")
    if name != text:
        return at_work.violated(f"The name {text!r} came back as {name!r}.", came=got)
    again = await _ask(at_work, "GetCampaign", {"campaignId": _at(got, "campaign", "campaignId")})
    if _at(again, "campaign", "name") != text:
        at_work.violated(f"The name {text!r} was stored as something else.", came=again)
    return None


async def _as_user(at_work: Round, text: str) -> None:
    fields = {"campaignId": at_work.campaign_id, "userId": text}
    got = await _ask(at_work, "IssueCoupon", fields)
    if text and not is_storable(text, ID_MAX):
        return _expect_refused(at_work, "user id", text, got)
    again = await _ask(at_work, "IssueCoupon", fields)
    users = [_at(answer, "coupon", "userId") or "" for answer in (got, again)]
    if users != [text, text]:
        return at_work.violated(f"The user id {text!r} came back as {users}.", came=got)
    codes = {_at(answer, "coupon", "code") for answer in (got, again)}
    if len(codes) != (1 if text else 2):
        at_work.violated(f"The user {text!r} got the coupons {codes}.", came=again)
    return None


async def _as_id(at_work: Round, text: str) -> None:
    for rpc in ("GetCampaign", "IssueCoupon"):
        got = await _ask(at_work, rpc, {"campaignId": text, "userId": "u"})
        _expect_refused(at_work, "campaign id", text, got)


async def _ask(at_work: Round, rpc: str, fields: Mapping[str, object]) -> Answer | None:
    exchange: Exchange = await at_work.ask(call(rpc, json.dumps(fields).encode()))
    return exchange.answers[0] if exchange.answers else None


def _expect_refused(at_work: Round, what: str, text: str, got: Answer | None) -> None:
    if got is None or got.status != 400:
        at_work.violated(f"The {what} {text[:300]!r} was not refused.", came=got)


def _at(answer: Answer | None, *path: str) -> object:
    """Return what an answer holds at a path, or None."""
    value: object = json.loads(answer.body) if answer and answer.status == 200 else None
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


FAMILY = Family(
    name="texts",
    title="SQL, format strings, control, invisible and combining characters in every field",
    strike=strike,
)
