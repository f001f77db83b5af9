"""What schemathesis cannot know of the API: bookmarks are given out, not made up."""

from __future__ import annotations

import schemathesis


@schemathesis.hook
def before_call(
    context: object,  # noqa: ARG001
    case: schemathesis.Case,
    kwargs: dict[str, object],  # noqa: ARG001
) -> None:
    """Leave out bookmarks that no answer has given."""
    if case.query:
        case.query.pop("bookmark", None)
