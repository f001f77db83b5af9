"""Hooks for schemathesis: a bookmark must come from a response and cannot be generated."""

from __future__ import annotations

import schemathesis


@schemathesis.hook
def before_call(
    context: object,  # noqa: ARG001
    case: schemathesis.Case,
    kwargs: dict[str, object],  # noqa: ARG001
) -> None:
    """Remove generated bookmarks."""
    if case.query:
        case.query.pop("bookmark", None)
