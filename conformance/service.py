"""The service that the conformance tests call: it answers as each request tells it to."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

# Generated into build/conformance from the contract that the tests bring along.
import conformance_gen.connectrpc.conformance.v1.service_pb as pb  # type: ignore[import-not-found] # made when it runs
from conformance_gen.connectrpc.conformance.v1.service_connect import (  # type: ignore[import-not-found] # as above
    ConformanceService,
)
from connectrpc.code import Code
from connectrpc.errors import ConnectError, ErrorDetail
from connectrpc.request import Headers, RequestContext
from protobuf import Message, Registry
from protobuf.wkt import Any as AnyMessage

Context = RequestContext[Any, Any]

# JSON cannot show a message inside an Any whose type the codec has not been told.
TYPES = Registry(pb.desc())


class Conformance(ConformanceService):  # type: ignore[misc] # see above
    """Answers with what is asked for, and with what was seen of the request.

    `Unimplemented` is left out, as the tests want it.
    """

    async def unary(self, request: Any, ctx: Context) -> Any:  # noqa: ANN401 # generated when it runs
        """Answer with the payload or the error that the request defines."""
        payload = await _answer(request.response_definition, ctx, [request])
        return pb.UnaryResponse(payload=payload)

    async def idempotent_unary(self, request: Any, ctx: Context) -> Any:  # noqa: ANN401 # as above
        """Do the same; the tests call it by GET."""
        payload = await _answer(request.response_definition, ctx, [request])
        return pb.IdempotentUnaryResponse(payload=payload)

    async def client_stream(self, requests: AsyncIterator[Any], ctx: Context) -> Any:  # noqa: ANN401 # as above
        """Read all requests, then answer with what the first one defines."""
        received = [request async for request in requests]
        definition = received[0].response_definition if received else None
        return pb.ClientStreamResponse(payload=await _answer(definition, ctx, received))

    async def server_stream(self, request: Any, ctx: Context) -> AsyncIterator[Any]:  # noqa: ANN401 # as above
        """Answer with the payloads that the request defines, and end with its error."""
        async for payload in _answers(request.response_definition, ctx, [request]):
            yield pb.ServerStreamResponse(payload=payload)

    async def bidi_stream(self, requests: AsyncIterator[Any], ctx: Context) -> AsyncIterator[Any]:
        """Answer each request as it comes, or all of them at the end, as the first one says."""
        first = await anext(requests, None)
        if first is None:
            return
        answers = _one_by_one if first.full_duplex else _all_at_the_end
        async for payload in answers(first, requests, ctx):
            yield pb.BidiStreamResponse(payload=payload)


async def _all_at_the_end(
    first: Any,  # noqa: ANN401 # as above
    others: AsyncIterator[Any],
    ctx: Context,
) -> AsyncIterator[Any]:
    received = [first, *[request async for request in others]]
    async for payload in _answers(first.response_definition, ctx, received):
        yield payload


async def _one_by_one(
    first: Any,  # noqa: ANN401 # as above
    others: AsyncIterator[Any],
    ctx: Context,
) -> AsyncIterator[Any]:
    """Answer each request with the next payload of the first one's definition."""
    definition = first.response_definition or pb.StreamResponseDefinition()
    _set_metadata(ctx, definition)
    request: Any = first
    for number, data in enumerate(definition.response_data):
        await _wait(definition)
        info = _seen(ctx if number == 0 else None, [request])
        yield pb.ConformancePayload(data=data, request_info=info)
        request = await anext(others, None)
        if request is None:
            break
    if definition.error is not None:
        nothing_sent = not definition.response_data
        raise _error(definition.error, _seen(ctx, [request]) if nothing_sent else None)


async def _answer(definition: Any, ctx: Context, requests: Iterable[Message]) -> Any:  # noqa: ANN401 # as above
    """Return the one payload of a definition, or raise its error."""
    info = _seen(ctx, requests)
    if definition is None:
        return pb.ConformancePayload(request_info=info)
    _set_metadata(ctx, definition)
    await _wait(definition)
    response = definition.response
    if response is not None and response.field == "error":
        raise _error(response.value, info)
    return pb.ConformancePayload(data=response.value if response else b"", request_info=info)


async def _answers(
    definition: Any,  # noqa: ANN401 # as above
    ctx: Context,
    requests: Iterable[Message],
) -> AsyncIterator[Any]:
    """Yield the payloads of a definition; the first says what was seen of the request."""
    if definition is None:
        return
    _set_metadata(ctx, definition)
    info = _seen(ctx, requests)
    for number, data in enumerate(definition.response_data):
        await _wait(definition)
        yield pb.ConformancePayload(data=data, request_info=None if number else info)
    if definition.error is not None:
        raise _error(definition.error, None if definition.response_data else info)


async def _wait(definition: Any) -> None:  # noqa: ANN401 # as above
    if definition.response_delay_ms:
        await asyncio.sleep(definition.response_delay_ms / 1000)


def _set_metadata(ctx: Context, definition: Any) -> None:  # noqa: ANN401 # as above
    for sent, wanted in (
        (ctx.response_headers, definition.response_headers),
        (ctx.response_trailers, definition.response_trailers),
    ):
        for header in wanted:
            for value in header.value:
                sent.add(header.name, value)


def _error(wanted: Any, info: Any) -> ConnectError:  # noqa: ANN401 # as above
    """Return an error as wanted, with what was seen of the request in its details."""
    code = Code[wanted.code.name.removeprefix("CODE_")]
    details = [ErrorDetail(detail) for detail in wanted.details]
    if info is not None:
        details.append(ErrorDetail(info))
    return ConnectError(code, wanted.message or "", details)


def _seen(ctx: Context | None, requests: Iterable[Message]) -> Any:  # noqa: ANN401 # as above
    """Return what was seen of a request: its messages and, with a context, its head."""
    seen = pb.ConformancePayload.RequestInfo(requests=[AnyMessage.pack(each) for each in requests])
    if ctx is None:
        return seen
    seen.request_headers = _listed(ctx.request_headers)
    if ctx.timeout_ms is not None:
        seen.timeout_ms = max(int(ctx.timeout_ms), 0)
    if ctx.http_method == "GET":
        # The library does not hand over the query, and the tests allow for that.
        seen.connect_get_info = pb.ConformancePayload.ConnectGetInfo()
    return seen


def _listed(headers: Headers) -> list[Any]:
    return [pb.Header(name=name, value=list(headers.getall(name))) for name in headers]
