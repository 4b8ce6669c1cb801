"""Whether a caller is still there is asked of the server, if the server offers that."""

from contextvars import copy_context
from typing import Any

import pytest

from coupon_service import callers


def noted(*scopes: dict[str, Any]) -> object:
    """Return what tells whether the caller has gone, after these requests were noted."""

    def note() -> object:
        for scope in scopes:
            callers.note_connection(scope)
        return callers.is_gone.get()

    return copy_context().run(note)


def lost() -> bool:
    return True


OFFER = {"extensions": {callers.EXTENSION: {callers.IS_LOST: lost}}}


def test_the_server_s_offer_is_what_tells_whether_the_caller_has_gone() -> None:
    assert noted(OFFER) is lost


@pytest.mark.parametrize(
    "scope",
    [{}, {"extensions": {}}, {"extensions": {"http.response.trailers": {}}}],
    ids=["no extensions", "none", "another"],
)
def test_without_the_server_s_offer_a_caller_is_never_thought_to_have_gone(
    scope: dict[str, Any],
) -> None:
    assert noted(scope) is callers.never
    assert callers.never() is False


def test_a_later_request_s_connection_takes_the_place_of_an_earlier_one_s() -> None:
    other = {"extensions": {callers.EXTENSION: {callers.IS_LOST: callers.never}}}
    assert noted(OFFER, other) is callers.never
