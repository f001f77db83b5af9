"""Bookmarks: opaque words that say where in a walk over an account's lists the next page begins.

A bookmark names the last thing of its page, not a position. So a list that is created in the middle
of a walk moves nothing: no list comes twice and none is left out.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import blake2b

from pinterest_audiences.emulator.members import seeded_key
from pinterest_audiences.emulator.shelves import Order

# Pinterest's bookmarks may hold "=" and "&". Ours always do, because then a client that does not
# encode them into its URL fails in its first test, not one day in production.
_PREFIX = "P2&c="
_MAC_BYTES = 8


class Bookmarks:
    """Writes bookmarks and reads them back; those of another seed are unknown.

    Args:
        seed: The emulator's seed.
    """

    def __init__(self, seed: int) -> None:
        self._key = seeded_key(seed, "bookmark")

    def write(self, walk: str, order: Order, last_id: int) -> str:
        """Return the bookmark of the page that follows a list or an audience.

        Args:
            walk: What is walked over: an account's id for its lists. It has no colon.
            order: The order of the walk.
            last_id: The id of the last thing of the page before.

        Returns:
            The bookmark.
        """
        place = f"{walk}:{order}:{last_id}"
        # Blanks up to one byte over a multiple of three, which base64 pads with "==".
        padding = " " * ((1 - _MAC_BYTES - len(place)) % 3)
        payload = (place + padding).encode()
        return _PREFIX + b64encode(self._mac(payload) + payload).decode()

    def read(self, bookmark: str, walk: str, order: Order) -> int | None:
        """Return the id that a bookmark goes on behind.

        Args:
            bookmark: Anything a client may have sent.
            walk: What is walked over.
            order: The order of the walk.

        Returns:
            The id, or None when this is not a bookmark of this walk.
        """
        if not bookmark.startswith(_PREFIX):
            return None
        try:
            sealed = b64decode(bookmark.removeprefix(_PREFIX), validate=True)
        except ValueError:
            return None
        mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if mac != self._mac(payload):
            return None
        walked, in_order, last_id = payload.decode().split(":")
        return int(last_id) if (walked, in_order) == (walk, order) else None

    def _mac(self, payload: bytes) -> bytes:
        return blake2b(payload, key=self._key, digest_size=_MAC_BYTES).digest()
