"""The HTTP library, which every other module imports from here.

To use httpx2 instead, change the import to ``import httpx2 as httpx``, and the dependency in
pyproject.toml. ``nox -s httpx2`` runs tests with it.
"""

import httpx

__all__ = ["httpx"]
