"""The processes that answer, and the two servers in them."""
