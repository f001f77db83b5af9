"""What holds a secret is not written anywhere by accident."""

from __future__ import annotations

from typing import NoReturn, Self

__all__ = ["Secret"]


class Secret:
    """Refuses to be pickled; a copy of it is the same object.

    A pickle is how objects reach caches, queues and other machines without anybody looking.

    Raises:
        TypeError: It is pickled.
    """

    __slots__ = ()

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError(
            f"{type(self).__name__} holds a secret and is not pickled;"
            " make a new one where it is needed"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self
