"""What the RPC library says of requests that it cannot read, said in our words."""

import re

from coupon_service.errors import FieldViolation

UNKNOWN_COMPRESSION = "unknown compression"
NO_COMPRESSION_BUT_GZIP = "The request's compression is not known; the supported encoding is gzip."
NO_TIME = "It is not a valid time; write one like 2026-01-31T20:00:00+09:00."

# What the library says of headers, with the header's name and what we say.
_BAD_HEADERS = {
    "Invalid timeout header": ("connect-timeout-ms", "It must be 1 to 10 digits."),
    "connect-protocol-version": ("connect-protocol-version", "It must be 1."),
    "protocol error: invalid timeout": ("grpc-timeout", "It is no time that gRPC knows."),
    "protocol error: timeout": ("grpc-timeout", "It is no time that gRPC knows."),
}
_BAD_VALUE = re.compile(r"for field coupon\.v1\.\w+\.(\w+)$")
_BAD_JSON = re.compile(r": line (\d+) column (\d+) ")
_TOO_LARGE = re.compile(r"larger than configured max (\d+)")


def violation_in(message: str) -> FieldViolation:
    """Say in our words what the library found; its own name types and quote the request."""
    if found := _BAD_VALUE.search(message):
        description = NO_TIME if "Timestamp" in message else "Its value does not fit."
        return FieldViolation(field=found[1], description=description)
    for words, (field, description) in _BAD_HEADERS.items():
        if message.startswith(words):
            return FieldViolation(field=field, description=description)
    description = "It cannot be read."
    if found := _BAD_JSON.search(message):
        description = f"It is not valid JSON at line {found[1]}, column {found[2]}."
    elif found := _TOO_LARGE.search(message):
        description = f"It is larger than {found[1]} bytes."
    return FieldViolation(field="request", description=description)
