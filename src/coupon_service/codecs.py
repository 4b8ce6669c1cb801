"""The wire formats: connectrpc's own codecs, with a limit on nesting and room for long answers."""

import contextlib
import json
from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from connectrpc.codec import Codec, proto_binary_codec, proto_json_codec
from protobuf import DescField, DescFieldValueEnum, DescFieldValueMessage

from coupon_service.gen.coupon.v1.coupon_pb import GetCampaignResponse

# The JSON decoder (protobuf-py-ext 0.7) recurses at each level of nesting, and
# somewhere between 10,000 and 20,000 levels it overflows the stack and takes the
# process with it. No request of ours nests beyond 3 levels; the rest is room for
# brackets in strings.
OPENING_BRACKETS_MAX = 1000

# Whether the present request is answered in JSON.
speaks_json: ContextVar[bool] = ContextVar("speaks_json", default=False)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A response that has been encoded already."""

    data: bytes


class OurCodec:
    """A codec of connectrpc's that takes responses encoded already."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def name(self) -> str:
        """Return the name by which content types know the format."""
        return self._codec.name()

    def encode(self, message: Any) -> bytes:  # noqa: ANN401 # as the library's protocol has it
        """Encode a response."""
        return message.data if isinstance(message, Encoded) else self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:  # noqa: ANN401 # as above
        """Decode a request; the library answers a ValueError with invalid_argument."""
        return self._codec.decode(data, message_class)


class OurJsonCodec(OurCodec):
    """A codec that also refuses JSON which is dangerous, and values that no enum has."""

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:  # noqa: ANN401 # as above
        """Decode a request; the library answers a ValueError with invalid_argument."""
        if data.count(b"[") + data.count(b"{") > OPENING_BRACKETS_MAX:
            msg = "it has too many brackets"
            raise ValueError(msg)
        try:
            message = self._codec.decode(data, message_class)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"{exc}{self._place_of_bad_message(data, message_class)}") from exc
        if enum_fields := _enum_fields(message_class):  # type: ignore[arg-type] # classes are hashable
            _require_known_values(enum_fields, data)
        return message

    def _place_of_bad_message(self, data: bytes | bytearray, message_class: type[Any]) -> str:
        """Say which field holds a message, like a time, that cannot be read.

        Of these the library does not say it, so each is tried alone.
        """
        with contextlib.suppress(RecursionError, ValueError):  # no JSON, or too deep
            values = json.loads(data)
            for field in _message_fields(message_class) if isinstance(values, dict) else ():
                for key in {field.name, field.json_name} & values.keys():
                    if not self._is_readable({key: values[key]}, message_class):
                        return f", for field {field.parent.type_name}.{field.name}"
        return ""

    def _is_readable(self, values: dict[str, object], message_class: type[Any]) -> bool:
        try:
            self._codec.decode(json.dumps(values).encode(), message_class)
        except (RecursionError, TypeError, ValueError):
            return False
        return True


def _message_fields(message_class: type[Any]) -> list[DescField]:
    fields = message_class.desc().fields
    return [field for field in fields if isinstance(field.value, DescFieldValueMessage)]


@cache
def _enum_fields(message_class: type[Any]) -> list[tuple[DescField, frozenset[object]]]:
    """Return the fields of a message that hold an enum's value, with its names and numbers."""
    return [
        (
            field,
            frozenset(x for value in field.value.enum.values for x in (value.name, value.number)),
        )
        for field in message_class.desc().fields
        if isinstance(field.value, DescFieldValueEnum)
    ]


def _require_known_values(
    enum_fields: list[tuple[DescField, frozenset[object]]], data: bytes | bytearray
) -> None:
    """Refuse a value that an enum does not have.

    The library ignores it, as it does fields that it does not know: whoever misspells
    the view without codes would be shown them all.
    """
    values = json.loads(data)
    for field, known in enum_fields:
        for key in {field.name, field.json_name} & values.keys():
            if values[key] is not None and values[key] not in known:
                msg = f"no such value, for field {field.parent.type_name}.{field.name}"
                raise ValueError(msg)


def codecs() -> list[Codec]:
    """Return the codecs that the service speaks: binary and JSON."""
    return [OurCodec(proto_binary_codec()), OurJsonCodec(proto_json_codec())]


async def with_codes(
    answer: GetCampaignResponse, pages: AsyncIterator[list[str]]
) -> GetCampaignResponse:
    """Return an answer with these codes, encoded page by page.

    A million codes encoded in one go would hold up all other calls of the process;
    between pages they get their turn.
    """
    encode = _json_with_codes if speaks_json.get() else _binary_with_codes
    # The library hands a handler's answer to the codec and looks at nothing in it.
    return cast("GetCampaignResponse", Encoded(await encode(answer, pages)))


async def _json_with_codes(answer: GetCampaignResponse, pages: AsyncIterator[list[str]]) -> bytes:
    start = proto_json_codec().encode(answer).removesuffix(b"}")
    lists = [_json_list(page)[1:-1] async for page in pages]
    return b"".join([start, b',"couponCodes":[', b",".join(lists), b"]}"])


def _json_list(codes: list[str]) -> bytes:
    return json.dumps(codes, ensure_ascii=False, separators=(",", ":")).encode()


async def _binary_with_codes(answer: GetCampaignResponse, pages: AsyncIterator[list[str]]) -> bytes:
    # Messages in the binary format that follow one another are one message.
    parts = [GetCampaignResponse(coupon_codes=page).to_binary() async for page in pages]
    return b"".join([answer.to_binary(), *parts])
