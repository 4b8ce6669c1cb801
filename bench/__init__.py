"""Measurements of the service, side by side with yardsticks, as ratios within one run."""
