"""The check of the live API against the assumptions of the emulator."""
