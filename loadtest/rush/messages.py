"""The names of the messages between the conductor and the performers."""

JOIN = "rush-join"  # performer: let me take part
PLAN = "rush-plan"  # conductor: a Plan
ASK_TIME = "rush-ask-time"  # performer: what is the time by your clock?
TIME = "rush-time"  # conductor: it is
TALLY = "rush-tally"  # performer: what happened in the last second
SOLD_OUT = "rush-sold-out"  # performer: somebody was told so
END = "rush-end"  # conductor: the burst ends at this instant
FINISH = "rush-finish"  # conductor: finish now
FINISHED = "rush-finished"  # performer: a Share
SEND = "rush-send"  # conductor: your history is not here, send it
PIECE = "rush-piece"  # performer: a piece of it
