"""How one call travels to Pinterest."""
