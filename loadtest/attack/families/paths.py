"""Paths and methods that lead somewhere else, or nowhere."""

import random
from collections.abc import Iterator

from loadtest.attack.families.family import Family, shooting
from loadtest.attack.shots import JSON, SERVICE, Request, Shot, Wanted, head, raw

CALL = SERVICE + b"GetCampaign"
PATHS = (
    b"/",
    b"//",
    b"/../",
    b"/../../etc/passwd",
    b"/%2e%2e/%2e%2e/etc/passwd",
    b"/..%2f..%2fetc%2fpasswd",
    b"/" + CALL,
    CALL + b"/",
    CALL.replace(b"/G", b"%2FG"),
    CALL.replace(b"/G", b"//G"),
    CALL.replace(b"/G", b"/./G"),
    CALL.replace(b"/G", b"/x/../G"),
    CALL.lower(),
    CALL + b"%00",
    CALL + b";x",
    CALL + b"?",
    CALL + b"?%00=%ff",
    b"/coupon.v1.CouponService",
    SERVICE,
    SERVICE + b"__class__",
    SERVICE + b"create_campaign",
    SERVICE + b"Nothing",
    b"/coupon.v2.CouponService/GetCampaign",
    b"/grpc.health.v1.Health/Check",
    b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    b"/healthz/",
    b"/healthz?x",
    b"/readyz",
    b"/readyz/..",
    b"/metrics/../x",
    b"/%",
    b"/%zz",
    b"/%c0%ae",
    b"/%ed%a0%80",
    b"/\xff\xfe",
    b"/a" * 3000,
    b"/" + b"a" * 15_000,
    b"/" + b"a" * 60_000,
    b"*",
    b"http://coupons/healthz",
    b"http://other/coupon.v1.CouponService/GetCampaign",
    b"https://user:password@other:99/healthz",
    b"coupons:80",
    b"",
    b"?x",
    b"#x",
    b"/healthz#x",
    b"/a b",
    b"/.env",
    b"/.git/config",
    b"/docs",
    b"/openapi.json",
)
METHODS: tuple[bytes, ...] = (
    b"GET",
    b"POST",
    b"PUT",
    b"DELETE",
    b"PATCH",
    b"OPTIONS",
    b"HEAD",
    b"TRACE",
    b"CONNECT",
)
METHODS += (b"PROPFIND", b"BREW", b"get", b"G" * 5000, b"", b"GET\0", b"\xff", b"PRI")
TYPES: tuple[bytes, ...] = (
    b"",
    b"text/plain",
    b"application/json",
    b"application/connect+json",
    b"multipart/form-data",
)
TYPES += (b"application/x-www-form-urlencoded", b"application/connect+proto", b"application/grpc")
TYPES += (
    b"application/",
    b"/",
    b"application/json, application/proto",
    b"*/*",
    b"\xff",
    b"j" * 9000,
)


def shots(chance: random.Random, _campaign_id: str) -> Iterator[Shot]:
    """Yield requests for such paths, by such methods, of all content types."""
    while True:
        path = chance.choice(PATHS) if chance.random() < 0.8 else CALL
        method = chance.choice([b"GET", b"POST"])
        if chance.random() < 0.4:
            method = chance.choice(METHODS)
        headers = list(JSON)
        if chance.random() < 0.5:
            headers = [(b"content-type", chance.choice(TYPES))]
        body = b"{}" if method == b"POST" else b""
        request = Request(method=method, target=path, headers=tuple(headers), body=body)
        is_whole = bool(path) and b" " not in path and method.isalpha() and method.isupper()
        is_known = is_whole and method not in {b"CONNECT", b"PRI"}
        shot = raw(request.as_http1(), Wanted.HTTP)
        yield Shot(data=shot.data, wanted=Wanted.HTTP, request=request) if is_known else shot
        if chance.random() < 0.05:
            yield raw(head(b"OPTIONS", b"*"))


FAMILY = Family(
    name="paths",
    title="paths, methods and content types that lead somewhere else, or nowhere",
    strike=shooting(shots),
)
