"""A whole desk that runs, for the commands that talk to one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner, Result

from workflow.cli import cast
from workflow.cli.cast import DemoPerson
from workflow.cli.demo_tokens import token_file
from workflow.cli.installation import Process
from workflow.cli.main import app
from workflow.cli.stack import Stack


def licdesk(*arguments: str, environ: Mapping[str, str] | None = None, typed: str = "") -> Result:
    """Runs the command as a person would."""
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"} | dict(environ or {}), input=typed)


@dataclass(frozen=True)
class RunningDesk:
    """A stack, and its commands (called in this process): as a person with a token, or as whoever runs the desk."""

    stack: Stack

    def as_person(self, person: DemoPerson, *arguments: str, typed: str = "") -> Result:
        """A client command with this person's token; `typed` is what they enter."""
        token = token_file(self.stack.files.data, person)
        where = {"LICDESK_URL": self.stack.urls["desk"], "LICDESK_TOKEN_FILE": str(token)}
        return licdesk(*arguments, environ=where, typed=typed)

    def liaison(self, *arguments: str) -> Result:
        """A client command of the liaison."""
        return self.as_person(cast.LIAISON, *arguments)

    def approver(self, *arguments: str, typed: str = "") -> Result:
        """A client command of the approver."""
        return self.as_person(cast.APPROVER, *arguments, typed=typed)

    def here(self, *arguments: str) -> Result:
        """A command on the desk's own machine, on its database."""
        own = self.stack.environ_for(Process.DESK)
        return licdesk(*arguments, environ={name: value for name, value in own.items() if name.startswith("LICDESK_")})


@pytest.fixture(scope="package")
def running_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """A desk with everything that belongs to it, looking for due reminders every two seconds."""
    with Stack(tmp_path_factory.mktemp("desk"), settings={"scan_seconds": "2"}) as stack:
        yield RunningDesk(stack)
