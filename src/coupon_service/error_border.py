"""Where every error of a call becomes what its caller may see."""

from contextvars import ContextVar
from typing import Any

from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext

from coupon_service.rpc_errors import connect_error


class ErrorBorder:
    """An interceptor that translates every error of a call before it is answered."""

    async def on_start(self, _ctx: RequestContext[Any, Any]) -> Any:  # noqa: ANN401 # whatever on_end wants
        """Do nothing; required of an interceptor."""

    async def on_end(
        self,
        _token: Any,  # noqa: ANN401 # what on_start returned
        ctx: RequestContext[Any, Any],
        error: Exception | None,
    ) -> None:
        """Replace the call's error, if there is one, by what the caller may see."""
        if error is not None:
            raise replaced(error, connect_error(error, method=ctx.method.name))


# What the present call is answered with.
_answer: ContextVar[ConnectError | None] = ContextVar("answer", default=None)


def replaced(error: Exception, answer: ConnectError) -> ConnectError:
    """Return an answer in an error's place, and let the error go."""
    error.__traceback__ = None
    _answer.set(answer)
    return answer


def let_go() -> None:
    """Take from the present call's error, now that it is answered, what it holds on to.

    An error holds its traceback, that the frames it came through, these their request and
    the error: a ring, which only the garbage collector finds, and that runs seldom.
    """
    answer = _answer.get()
    if answer is not None:
        answer.__traceback__ = answer.__context__ = None
