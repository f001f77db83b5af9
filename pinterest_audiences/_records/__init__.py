"""From customer files to normalized, hashed records; independent of HTTP."""
