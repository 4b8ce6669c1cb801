"""Plain HTTP for tests that are coroutines: any client, no Connect."""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import httpx


async def get(url: str, parameters: Mapping[str, str] | None = None) -> httpx.Response:
    """GET a URL."""
    query = f"?{urlencode(parameters)}" if parameters else ""
    async with httpx.AsyncClient() as client:
        return await client.get(url + query)


async def post(
    url: str, fields: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """POST a JSON object to a URL."""
    content_type = {"content-type": "application/json"}
    async with httpx.AsyncClient() as client:
        return await client.post(
            url, content=json.dumps(fields), headers=content_type | dict(headers or {})
        )
