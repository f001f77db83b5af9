"""Random values such as customer tables have: good, damaged, and made to mislead."""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["random_emails", "random_mobile_ids"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ALLOWED = _LETTERS + _LETTERS.upper() + "0123456789" + "._+-"
_BLANKS = (" ", "  ", "\t", "\n", "\r\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\xa0")
_WIDE_BLANKS = ("\u2002", "\u2003", "\u2028", "\u2029", "\u3000", "\u200b", "\u200d", "\ufeff")
# Their lower or upper case, or their similar letter, is ASCII.
_MISLEADING = (
    "\u0130\u0131\u017f\u212a\u212b\u2126\u00b5\u03bc\u0430\u0435\u043e\u0440\u0441"
    "\uff20\ufe6b\uff0e\uff21\uff41\u2010\u2011\u00ad\ufb01"
)
_OTHER = "äöüßñéÅøłžığşçαβγσςΣмйиเขา漢字한글🙂\u0301\u0327\ufffd\u200e\u202e"
_PUNCTUATION = "'\"`\u00b4\u2018\u2019\u201c\u201d,;:!?#$%&/\\|()[]{}<>=~^*@@.."
_CONTROL = "\x01\x07\x08\x1b\x1f\x7f\x80\x9f"
_PLACEHOLDERS = ("test", "noreply", "no-reply", "No.Mail", "none", "null", "x", "EMAIL", "noone")
_DOMAINS = (
    *("shop.de", "Shop.Example-Store.CO.UK", "gmail.com", "GMAIL.COM", "a.io", "mail.a-b.org"),
    *("1and1.com", "x.y.z.w.de", "web.de", "carrier.ne.jp", "istanbul.info", "KIEL.kitchen"),
)
_BAD_DOMAINS = (
    *("example.com", "a.example.net", "shop.test", "x.invalid", "localhost", "shop", "shop.d"),
    *("-shop.de", "shop-.de", "sh..de", ".shop.de", "shop.de.", "shop.1de", "1.2.3.4", "sh_op.de"),
    *("xn--mller-kva.de", "ab--xn--c.de", "shop.xn--p1ai", "test.com", "münchen.de", "x.example"),
)
_WRAPPERS = (
    *("<{}>", "Ann <{}>", '"Lee, Ann" <{}>', "mailto:{}", "mailto:{}?subject=a", "'{}'", '"{}"'),
    *('="{}"', "{};", "{},", "({})", "[{}]", "{{{}}}", "b'{}'", "N'{}'", "E-Mail: {}", "{} (work)"),
    *("{}\\n", "\\t{}", "{}\\", "smtp:{}", "to={}", "?{}", "%20{}", "{}%0A"),
    *("_x000D_{}", "{}_x000D_"),
)
_EMAIL_SHARES = (40, 15, 22, 8, 5, 5, 5)  # percent of each form of `_email`
_JOINTS = (",", ";", ", ", "; ", " ", "\n", "/", " or ", "|", " und ")


def random_emails(seed: int, count: int) -> Iterator[str]:
    """Yield addresses, about half of which are plain and good, and all kinds of damage."""
    rng = random.Random(seed)
    for _ in range(count):
        yield _email(rng)


def _email(rng: random.Random) -> str:
    address = _address(rng)
    form = rng.choices(range(len(_EMAIL_SHARES)), _EMAIL_SHARES)[0]
    return (
        lambda: address,
        lambda: _blank(rng) + address + _blank(rng),
        lambda: _damaged(rng, address),
        lambda: rng.choice(_WRAPPERS).format(address),
        lambda: rng.choice(_JOINTS).join(_address(rng) for _ in range(rng.randint(2, 3))),
        lambda: f"{_local(rng)}@{rng.choice(_BAD_DOMAINS)}",
        lambda: _other(rng),
    )[form]()


def _address(rng: random.Random) -> str:
    local = rng.choice(_PLACEHOLDERS) if rng.random() < 0.03 else _local(rng)
    return f"{local}@{_domain(rng)}"


def _local(rng: random.Random) -> str:
    length = rng.choice((1, 2, 3, 5, 8, 10, 12, 16, 20, 25, 40, 55, 64, 66))
    return "".join(rng.choice(_ALLOWED) for _ in range(length))


def _domain(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return rng.choice(_DOMAINS)
    labels = [
        "".join(
            rng.choice(_LETTERS + "0123456789-") for _ in range(rng.choice((1, 3, 9, 30, 63, 64)))
        )
        for _ in range(rng.randint(1, 3))
    ]
    return ".".join([*labels, rng.choice(("de", "com", "DE", "museum", "x", "c0m"))])


def _blank(rng: random.Random) -> str:
    return rng.choice(("", "", *_BLANKS, *_WIDE_BLANKS))


def _damaged(rng: random.Random, address: str) -> str:
    """Insert, replace or remove one to three characters."""
    letters = list(address)
    for _ in range(rng.randint(1, 3)):
        position = rng.randrange(len(letters) + 1)
        pool = rng.choice((_MISLEADING, _MISLEADING, _OTHER, _PUNCTUATION, _CONTROL, _BLANKS))
        action = rng.random()
        if action < 0.5:
            letters.insert(position, rng.choice(pool))
        elif letters and position < len(letters):
            letters[position] = rng.choice(pool) if action < 0.9 else ""
    return "".join(letters)


def _other(rng: random.Random) -> str:
    digest = f"{rng.getrandbits(256):064x}"
    return rng.choice(
        (
            *("", " ", "\t", "NULL", "null", "N/A", "-", "unknown", "0", "ann", "@", "a@b", "\\N"),
            *(digest, digest.upper(), digest[:40], digest[:32], digest[:63], f"0x{digest}"),
            *(f"sha256:{digest}", "0" * 64, " " * 1_100 + "ann@shop.de", "a" * 300 + "@shop.de"),
            "".join(
                chr(rng.choice((rng.randint(1, 0xD7FF), rng.randint(0xE000, 0x10FFFF))))
                for _ in range(8)
            ),
        )
    )


def random_mobile_ids(seed: int, count: int) -> Iterator[str]:
    """Yield mobile ids, about half of which are good."""
    rng = random.Random(seed)
    for _ in range(count):
        digits = f"{rng.getrandbits(128):032x}"
        value = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        value = value.upper() if rng.random() < 0.3 else value
        kind = rng.random()
        if kind < 0.2:
            value = _blank(rng) + value + _blank(rng)
        elif kind < 0.5:
            value = _damaged(rng, value)
        elif kind < 0.6:
            value = rng.choice((*_WRAPPERS, "{}{}")).format(value, value)
        elif kind < 0.65:
            value = rng.choice((digits, "0" * 8 + value[8:], value[:-1], _other(rng)))
        yield value
