"""A plugin of pytest that runs tests with httpx2 in place of httpx: ``-p support.with_httpx2``.

pytest loads it before anything imports httpx, so that package and tests use the same classes.
"""

from __future__ import annotations

import httpx2

httpx2.alias_httpx()
