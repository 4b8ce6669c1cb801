"""What is put to the test: each server of the coupon service, with two applications."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

HERE = Path(__file__).parent
SERVERS = ("uvicorn", "pyvoy")
# `plain` is the library as it is; `ours` is what the coupon service makes of it.
APPLICATIONS = ("plain", "ours")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """An application on a server."""

    server: str
    application: str

    @property
    def name(self) -> str:
        """By what it is called in output and in the names of files."""
        return f"{self.server}-{self.application}"

    @property
    def config(self) -> Path:
        """The file that says what the server offers."""
        return HERE / "config" / f"{self.server}.yaml"

    @property
    def known_failures(self) -> list[Path]:
        """The files of failures that are known: of the application, and of it on this server."""
        files = [HERE / "known" / f"{name}.txt" for name in (self.application, self.name)]
        return [file for file in files if file.exists()]

    @property
    def factory(self) -> str:
        """Where the server finds the application."""
        return f"conformance.{self.application}:create_app"


SUBJECTS = {
    subject.name: subject
    for server, application in product(SERVERS, APPLICATIONS)
    for subject in [Subject(server=server, application=application)]
}
