"""Make a customer list equal to an export; run it every night.

    python nightly_mirror.py export.csv Buyers

It ends with 0 when the list is equal to the export, with 75 (EX_TEMPFAIL) if it should run again,
and with 1 if a person should look at it. On your ad account, a second run changes nothing.

For your ad account: log in once with `pinterest-audiences auth login`, and use `Client()`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pinterest_audiences import (
    Client,
    GuardError,
    JobInterruptedError,
    ListBusyError,
    PinterestAudiencesError,
)

AD_ACCOUNT = "549755885175"


def main(path: str, name: str) -> int:
    """Mirror the export, and return the exit code."""
    try:
        with Client.emulated() as client:
            report = client.mirror(
                AD_ACCOUNT, path, name=name, audience=name, max_removal_share=0.1
            )
    except GuardError as error:  # nothing was sent: the export is probably broken
        print(f"refused by {error.guard}: {error}", file=sys.stderr)
        return 1
    except (JobInterruptedError, ListBusyError) as error:  # the next run finishes it
        print(f"again later: {error}", file=sys.stderr)
        return 75
    except PinterestAudiencesError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{report.added} added, {report.removed} removed; audience {report.audience_id}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or (str(Path(__file__).with_name("customers.csv")), "Buyers"))))
