"""The rush for locust: `locust -f loadtest/locustfile.py --host URL`, or `make rush`.

Each of locust's users is a stream of callers who arrive by the clock. Locust's master, or
the only process, conducts; workers, or the only process, perform.
"""

from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

from loadtest.rush import options
from loadtest.rush.conducting import Conducting
from loadtest.rush.output import outlive_reader
from loadtest.rush.parts import conducts, interrupt_main_only, listen, performs
from loadtest.rush.performing import Performing


class Stream(User):
    """Callers who arrive at `--user-rate` a second, from when it is spawned."""

    performing: Performing

    @task
    def arrive(self) -> None:
        """Let them arrive until the burst is over."""
        self.performing.stream()


def add_options(parser: LocustArgumentParser, **_: object) -> None:
    """Offer the rush's options beside locust's."""
    options.add_to(parser)


def take_parts(environment: Environment, **_: object) -> None:
    """Take the parts that this process has."""
    outlive_reader()
    interrupt_main_only(environment)
    if conducts(environment):
        Conducting(environment)
    if performs(environment):
        Stream.performing = Performing(environment)


listen(events.init_command_line_parser, add_options)
listen(events.init, take_parts)
