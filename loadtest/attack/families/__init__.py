"""The families of attacks."""

from loadtest.attack.families import (
    compression,
    envelopes,
    floods,
    framing,
    heads,
    http2,
    json_bodies,
    log_lines,
    paths,
    protobuf,
    queries,
    slowness,
    strangers,
    texts,
)
from loadtest.attack.families.family import Family

FAMILIES: tuple[Family, ...] = (
    envelopes.FAMILY,
    protobuf.FAMILY,
    json_bodies.FAMILY,
    compression.FAMILY,
    heads.FAMILY,
    framing.FAMILY,
    queries.FAMILY,
    paths.FAMILY,
    strangers.FAMILY,
    texts.FAMILY,
    log_lines.FAMILY,
    slowness.FAMILY,
    floods.FAMILY,
    http2.FAMILY,
)

__all__ = ["FAMILIES", "Family"]
