"""Load, faults and the proof: what every caller saw, and whether the promises allow it."""
