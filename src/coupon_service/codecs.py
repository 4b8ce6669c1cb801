"""The wire formats: connectrpc's own codecs, with a limit on how deeply JSON may nest."""

from typing import Any

from connectrpc.codec import Codec, proto_binary_codec, proto_json_codec

# The JSON decoder (protobuf-py-ext 0.7) recurses at each level of nesting, and
# somewhere between 10,000 and 20,000 levels it overflows the stack and takes the
# process with it. No request of ours nests beyond 3 levels; the rest is room for
# brackets in strings.
OPENING_BRACKETS_MAX = 1000


class ShallowJsonCodec:
    """The JSON codec, which refuses messages that nest too deeply to be decoded safely."""

    def __init__(self) -> None:
        self._codec = proto_json_codec()

    def name(self) -> str:
        """Return the name by which content types know the format."""
        return self._codec.name()

    def encode(self, message: Any) -> bytes:  # noqa: ANN401 # as the library's protocol has it
        """Encode a response."""
        return self._codec.encode(message)

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:  # noqa: ANN401 # as above
        """Decode a request; the library answers a ValueError with invalid_argument."""
        if data.count(b"[") + data.count(b"{") > OPENING_BRACKETS_MAX:
            msg = "it has too many brackets"
            raise ValueError(msg)
        return self._codec.decode(data, message_class)


def codecs() -> list[Codec]:
    """Return the codecs that the service speaks: binary and JSON."""
    return [proto_binary_codec(), ShallowJsonCodec()]
