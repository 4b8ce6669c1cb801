"""Attacks on a running service from raw sockets, while an honest caller goes on calling."""
