"""Made-up customers, for whoever wants to try without any of his own."""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["made_up_customers"]

_FIRST = (
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gia",
    "Hal",
    "Ida",
    "Jon",
    "Kim",
    "Lea",
    "Max",
)
_LAST = ("Abel", "Berg", "Cruz", "Diaz", "Endo", "Frost", "Gray", "Holm", "Ito", "Jung", "Kroll")
# RFC 2606: nobody has a mailbox there.
_DOMAINS = ("example.com", "example.org", "shop.example.net")


def made_up_customers(count: int) -> Iterator[dict[str, str]]:
    """Return customers as an export would hold them: untidy, some without a usable address.

    Args:
        count: How many; the same ones each time.
    """
    chance = random.Random(count)  # noqa: S311 - it only has to be the same each time
    for number in range(count):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        email = f"{first}.{last}{number}@{chance.choice(_DOMAINS)}".lower()
        trouble = chance.random()
        if trouble < 0.02:  # noqa: PLR2004 - as in real exports
            email = ""
        elif trouble < 0.04:  # noqa: PLR2004
            email = email.replace("@", " at ")
        elif trouble < 0.2:  # noqa: PLR2004
            email = f" {email.title()}"
        yield {"name": f"{first} {last}", "email": email}
