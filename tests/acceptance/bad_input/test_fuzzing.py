"""Random requests: each is answered, and none does harm."""

import gzip
import random
import secrets

from acceptance.bad_input.asking import GOOD_JSON, GOOD_PROTO, GZIP, INNER
from support.service import Service
from support.wire import GRPC_WEB, JSON, PROTO, envelope, get, post, wire

from loadtest.attack.families.mutations import mutated

FUZZ_REQUESTS = 600
SEEDS = [
    (GOOD_JSON, JSON),
    (b'{"campaignId":"00000000-0000-0000-0000-000000000000","userId":"u","view":1}', JSON),
    (GOOD_PROTO, PROTO),
    (envelope(GOOD_PROTO), GRPC_WEB),
    (gzip.compress(GOOD_JSON), [*JSON, GZIP]),
]
HARMLESS = {200, 400, 404, 405, 415, 501, 504}


def fuzzed_request(chance: random.Random) -> bytes:
    body, headers = chance.choice(SEEDS)
    rpc = chance.choice(["CreateCampaign", "GetCampaign", "IssueCoupon"])
    extra = mutated(chance, chance.choice([b"1000", b"gzip", b"1S", b"text/plain", b"*/*"]))
    name = chance.choice(
        [b"connect-timeout-ms", b"grpc-timeout", b"accept-encoding", b"x-odd", b"content-encoding"]
    )
    # A line break would make another head of it; whether that has an end, nobody knows.
    value = extra.translate(None, b"\r\n")
    if chance.random() < 0.2:
        return get(rpc, mutated(chance, b"encoding=json&message=%7B%7D").translate(None, b"\r\n "))
    return post(rpc, mutated(chance, body), [*headers, (name, value)])


async def test_random_requests_are_answered_and_harm_nothing(shared_service: Service) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 # pytest shows it with a failure
    chance = random.Random(seed)
    workers = sorted(shared_service.worker_pids())
    for number in range(FUZZ_REQUESTS):
        request = fuzzed_request(chance)
        async with wire(shared_service.url) as connection:
            answer = await connection.ask(request)
        told = f"seed {seed}, request {number}: {request!r} was answered {answer}"
        assert answer.status in HARMLESS, told
        assert [inner for inner in INNER if inner in answer.body] == [], told
    async with wire(shared_service.url) as connection:
        assert (await connection.ask(post("CreateCampaign", GOOD_JSON))).status == 200
    assert sorted(shared_service.worker_pids()) == workers
