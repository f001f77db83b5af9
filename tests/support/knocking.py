"""Requests to a running server, without this package's client."""

from __future__ import annotations

import httpx

TOKEN = {"Authorization": "Bearer pina_test"}


def get(url: str) -> object:
    """Get a resource, and return the decoded body."""
    answer = httpx.get(url, headers=TOKEN, trust_env=False)
    answer.raise_for_status()
    decoded: object = answer.json()
    return decoded


def post(url: str, body: object) -> object:
    """Post a body as JSON, and return the decoded response."""
    answer = httpx.post(url, json=body, headers=TOKEN, trust_env=False)
    answer.raise_for_status()
    decoded: object = answer.json()
    return decoded
