"""From any customer file to clean, hashed records. Knows nothing of HTTP."""
