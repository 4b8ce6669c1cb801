"""The report of a rush: what its history says, for a person, in a terminal and as a page."""
