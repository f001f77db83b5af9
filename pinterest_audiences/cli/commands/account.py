"""``whoami`` and ``doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pinterest_audiences.cli.doctor import examine
from pinterest_audiences.cli.exits import Exit
from pinterest_audiences.cli.options import COMMON, Common, Flag, Given
from pinterest_audiences.cli.rows import row_of

if TYPE_CHECKING:
    from pinterest_audiences.models import JSON

__all__ = ["doctor", "whoami"]

_COLUMNS = ("check", "verdict", "finding", "remedy")


def whoami(*, common: Common = COMMON, context: Given) -> None:
    """Show the account that the token acts for.

    Args:
        common: Options of every command.
        context: What the command works with.
    """
    with context.client() as client:
        account = client.user_account_get()
    told: dict[str, JSON] = row_of(account)
    told["ad_account_id"] = context.said_ad_account
    context.out.row(told)


def doctor(*, offline: Flag = False, common: Common = COMMON, context: Given) -> Exit:
    """Look what could keep the other commands from working: first here, then with one read.

    Args:
        offline: Ask Pinterest nothing.
        common: Options of every command.
        context: What the command works with.
    """
    findings = examine(context, offline=offline)
    context.out.rows((each.to_dict() for each in findings), _COLUMNS)
    return next((each.exit for each in findings if each.exit != Exit.OK), Exit.OK)
