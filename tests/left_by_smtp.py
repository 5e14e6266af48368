"""No license leaves in clear: every byte that a test's mail server took is kept, and looked through when the run ends.

The servers of the tests call `record`; the inboxes that whole installations use leave their mail below the run's directory.
A finding fails the run, whatever its tests said.
"""

import base64
import binascii
import os
import quopri
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

VARIABLE = "TESTS_LEFT_BY_SMTP"
"""Names the directory where all processes of a run keep what left; inherited from the one that started them."""

CLEAR = (b"application/vnd.serviceme.license", b'"license_id":')
"""What is in a license file and its payload, and in the part of a letter that brings one, but in no letter's words."""

DEEP = 4
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/_-]{4,}\r?\n)*[A-Za-z0-9+/_-]{16,}={0,2}")

_STANDARD = bytes.maketrans(b"-_", b"+/")

_found = pytest.StashKey[list[str]]()


def record(message: bytes) -> None:
    """Keeps what a mail server was given. Does nothing outside a test run."""
    directory = os.environ.get(VARIABLE)
    if directory is None:
        return
    # One file for each process, and one write for each message: nobody waits for anybody.
    with open(Path(directory) / f"{os.getpid()}.mail", "ab") as file:
        file.write(len(message).to_bytes(8, "big") + message)


def in_clear(message: bytes, deep: int = DEEP) -> bytes | None:
    """What of a license can be read in a message by anybody on its way: as it is, or out of base64 or quoted-printable, also
    inside one another. None when nothing can."""
    for mark in CLEAR:
        if mark in message:
            return mark
    if not deep or not message[:64].isascii():  # ciphertext: nothing is written in it any more
        return None
    for inside in _decoded(message):
        if (found := in_clear(inside, deep - 1)) is not None:
            return found
    return None


def _decoded(message: bytes) -> Iterator[bytes]:
    if b"=" in message:
        plain = quopri.decodestring(message)
        if plain != message:
            yield plain
    for run in _BASE64.finditer(message):
        text = run[0].translate(_STANDARD, b"\r\n=")
        begins_a_line = message[run.start() - 1 : run.start()] in (b"", b"\n")
        for start in range(1 if begins_a_line else 4):  # where it begins within a line of other words cannot be told
            try:
                yield base64.b64decode(text[start:] + b"=" * (-(len(text) - start) % 4))
            except binascii.Error:
                yield base64.b64decode(text[start : len(text) - (len(text) - start) % 4])


def kept_in(directory: Path) -> Iterator[bytes]:
    """Every message that was recorded."""
    for path in sorted(directory.glob("*.mail")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "big")
            yield data[at + 8 : at + 8 + size]
            at += 8 + size


def caught_below(run: Path) -> Iterator[bytes]:
    """Every message in a Maildir below a directory: what the inbox of an installation took."""
    for folder in run.glob("**/new"):
        for path in folder.iterdir():
            if path.is_file():
                yield path.read_bytes()


def told(messages: Iterator[bytes]) -> list[str]:
    """One line for each message with a license that anybody can read."""
    lines = []
    for message in messages:
        if (mark := in_clear(message)) is not None:
            head = message.split(b"\r\n\r\n", 1)[0].decode(errors="replace")
            lines.append(f"{mark.decode()} can be read in the mail with this header:\n{head}")
    return lines


# The run's own part: pytest calls these, once for the whole run, in the process that hands out the tests.


def pytest_configure(config: pytest.Config) -> None:
    """Names the directory before any other process starts."""
    if not hasattr(config, "workerinput"):
        os.environ[VARIABLE] = tempfile.mkdtemp(prefix="left-by-smtp-")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Looks through all of it."""
    if hasattr(session.config, "workerinput"):
        return
    directory = Path(os.environ[VARIABLE])
    found = told(kept_in(directory))
    factory: pytest.TempPathFactory | None = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None and factory._basetemp is not None:
        found += told(caught_below(factory._basetemp))
    shutil.rmtree(directory, ignore_errors=True)
    if found:
        session.config.stash[_found] = found
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what was found."""
    for line in config.stash.get(_found, []):
        terminalreporter.section("A LICENSE LEFT IN CLEAR", red=True, bold=True)
        terminalreporter.line(line)
