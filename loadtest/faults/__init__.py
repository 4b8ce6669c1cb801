"""Faults: what goes wrong in real operation, done on purpose under load."""
