"""Issuers that are broken on purpose, each by one mistake that real systems make.

They show that the checker names what is wrong: each runs in the service's own stack, on a
real PostgreSQL, under the load of `loadtest.callers`. `python -m loadtest.broken` runs them.

Most of these mistakes cannot be made with the service's schema, whose constraints refuse
what comes of them. So they are made in a database without those constraints.
"""
