"""How one call travels; private."""
