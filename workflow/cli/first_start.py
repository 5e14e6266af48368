"""What a demo installation needs before its processes can start. Every step is a command of its own and idempotent."""

import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import workflow.db.migrations
from workflow.cli import cast
from workflow.cli.data_files import Files
from workflow.cli.installation import MAIL_SENDER, Installation, Process
from workflow.domain.delivery import Channel
from workflow.errors import Misconfigured
from workflow.openpgp_keys import is_installed

# No characters that look alike: people type this from one window into another.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class StepFailed(Misconfigured):
    """A step of the first start ended with an error; the message is what it said."""

    code = "up.step_failed"


@dataclass(frozen=True)
class Step:
    """One `licdesk` command. It is left out when it was done before, in the same words, and what it made is there."""

    name: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str]
    makes: Path


def prepare(installation: Installation) -> None:
    """Makes everything that is missing: keys, certificates, database, people, console. Raises StepFailed."""
    files = installation.files
    for directory in (files.data, files.key_secret.parent, files.run, files.logs):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_demo_password(files.demo_password)
    done = _Done(files.run / "first-start.json")
    done.run(_independent(installation))
    done.run([_seed(installation)])
    done.run([_console(installation)])
    done.run([_confirmation(installation)])


def demo_password(files: Files) -> str:
    """The password of every demo account."""
    return files.demo_password.read_text(encoding="ascii").strip()


def _independent(installation: Installation) -> list[Step]:
    """The steps that can run at the same time."""
    files = installation.files
    environ = installation.environ_for(Process.DESK)
    with_certificate = ",".join(each.email for each in cast.RECIPIENTS if each.has_certificate)
    on_curve = ",".join(each.email for each in cast.RECIPIENTS if each.on_curve)
    with_key = [f"{each.name} <{each.email}>" for each in cast.RECIPIENTS if each.channel is Channel.OPENPGP]
    return [
        Step(
            "keys",
            (
                *("keys", "init", "--demo", "--directory", str(files.keys)),
                *("--secret-file", str(files.key_secret), "--trust", str(files.trust), "--auditors", str(files.auditor_keys)),
            ),
            environ,
            files.trust / "pin.txt",
        ),
        Step(
            "mail",
            (
                *("mail", "init", "--directory", str(files.mail), "--inbox-keys", str(files.inbox_keys)),
                *("--recipients", with_certificate, "--signer-address", MAIL_SENDER),
                *("--on-curve", on_curve, "--openpgp", ",".join(with_key if is_installed() else [])),
            ),
            environ,
            files.mail / "ca.pem",
        ),
        Step("database", ("db", "upgrade"), environ, files.data),
    ]


def _seed(installation: Installation) -> Step:
    files = installation.files
    certificates = ("--certificates", str(files.mail / "recipients"))
    return Step(
        "people",
        ("demo", "seed", "--password-file", str(files.demo_password), *certificates),
        installation.environ_for(Process.DESK),
        files.data,
    )


def _console(installation: Installation) -> Step:
    files = installation.files
    return Step(
        "console",
        (
            *("console", "init", "--directory", str(files.console), "--json"),
            *("--tenant", cast.TENANT_ID, "--environment", cast.CONSOLE_ENVIRONMENT),
            *("--company", cast.COMPANY, "--time-zone", cast.TIME_ZONE),
            *("--pin", (files.trust / "pin.txt").read_text(encoding="ascii").strip()),
            *("--trust", str(files.trust / "root-1.json")),
            *("--admin", cast.ADMINISTRATOR.email, "--admin-name", cast.ADMINISTRATOR.name),
            *("--password-file", str(files.demo_password)),
        ),
        installation.environ_for(Process.CONSOLE),
        files.console / "identity.json",
    )


def _confirmation(installation: Installation) -> Step:
    """The operator's part: this console's key fingerprint is believed. Across two machines they compare it by phone."""
    return Step(
        "confirmation",
        ("demo", "confirm", "--console", str(installation.files.console)),
        installation.environ_for(Process.DESK),
        installation.files.console,
    )


class _Done:
    """Remembers which steps were done, so that a second start takes no time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fingerprints: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def run(self, steps: Sequence[Step]) -> None:
        """Runs those of the steps that are not done, at the same time."""
        due = [each for each in steps if not self._is_done(each)]
        running = [(each, _start(each)) for each in due]
        for step, process in running:
            said, _ = process.communicate()
            if process.returncode:
                self._end(running)
                raise StepFailed(f"licdesk {' '.join(step.arguments[:2])} failed:\n{said.strip()}")
            self._fingerprints[step.name] = _fingerprint(step)
        if due:
            self._path.write_text(json.dumps(self._fingerprints, indent=1))

    def _is_done(self, step: Step) -> bool:
        return step.makes.exists() and self._fingerprints.get(step.name) == _fingerprint(step)

    @staticmethod
    def _end(running: Iterable[tuple[Step, "subprocess.Popen[str]"]]) -> None:
        for _, process in running:
            process.kill()
            process.wait()


def _start(step: Step) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603  (our own interpreter and words)
        [sys.executable, "-m", "workflow.cli.main", *step.arguments],
        env=dict(step.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _fingerprint(step: Step) -> str:
    """Changes with what is asked, with the database it is asked of, and with each new migration."""
    versions = sorted(each.name for each in Path(workflow.db.migrations.__file__).parent.glob("versions/*.py"))
    asked = [step.arguments, step.environ.get("LICDESK_DATABASE_URL"), versions]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _make_demo_password(path: Path) -> None:
    if path.exists():
        return
    path.touch(mode=0o600)
    path.write_text("-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3)), encoding="ascii")
