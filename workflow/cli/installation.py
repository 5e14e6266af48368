"""One machine's whole installation: what each process of it is told and no other is."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum

from workflow.cli import serving
from workflow.cli.data_files import Files
from workflow.cli.supervisor import Probe, Program, answers_http, both, greets, says
from workflow.openpgp_keys import is_installed
from workflow.settings import (
    PREFIX,
    BeatSettings,
    ConsoleSettings,
    DeskSettings,
    InboxSettings,
    RelaySettings,
    SigningSettings,
    WitnessSettings,
    WorkerSettings,
    variable,
)
from workflow.times import CLOCK_FILE_VARIABLE

HOST = "127.0.0.1"
MAIL_SENDER = "licensing@serviceme.example"


class Process(StrEnum):
    """The processes, by the names that logs, the state file and `Stack.kill` use."""

    INBOX = "inbox"
    DESK = "desk"
    CONSOLE = "console"
    RELAY = "relay"
    WORKER = "worker"
    SIGNING = "signing"
    WITNESS = "witness"
    BEAT = "beat"


SETTINGS_OF: Mapping[Process, type] = {
    Process.INBOX: InboxSettings,
    Process.DESK: DeskSettings,
    Process.CONSOLE: ConsoleSettings,
    Process.RELAY: RelaySettings,
    Process.WORKER: WorkerSettings,
    Process.SIGNING: SigningSettings,
    Process.WITNESS: WitnessSettings,
    Process.BEAT: BeatSettings,
}


@dataclass(frozen=True)
class Ports:
    """Where the servers listen, all on loopback."""

    desk: int
    console: int
    inbox: int
    smtp: int


@dataclass(frozen=True)
class Installation:
    """A demo installation. `own` holds the LICDESK_ variables that the person who starts it has set: they win."""

    files: Files
    ports: Ports
    broker_url: str
    own: Mapping[str, str]

    @property
    def urls(self) -> dict[str, str]:
        """The three pages to click on."""
        return {
            name: f"http://{HOST}:{port}" for name, port in asdict(self.ports).items() if name in ("desk", "console", "inbox")
        }

    def settings(self) -> dict[str, str]:
        """Every setting of every role, by name. Whoever needs one gets it through `environ_for`."""
        files, urls = self.files, self.urls
        keys = {name.upper(): files.keys / f"issuer-{name}.pem" for name in ("dev", "uat", "prod")}
        return {
            "mode": "demo",
            "data_dir": str(files.data),
            "clock_file": str(files.clock),
            "database_url": f"sqlite:///{files.database}",
            "broker_url": self.broker_url,
            "public_url": urls["desk"],
            "console_url": urls["console"],
            "inbox_url": urls["inbox"],
            "secure_cookies": "false",
            "second_factor_for_prod": "false",  # nobody wants to fetch a phone to look at a demo
            "trust_dir": str(files.trust),
            "issuer_keys": ",".join(f"{name}={path.as_uri()}" for name, path in keys.items()),
            "issuer_key_secret_file": str(files.key_secret),
            "auditor_key": (files.auditor_keys / "auditor.pem").as_uri(),
            "auditor_key_secret_file": str(files.auditor_keys / "secret"),
            "checkpoint_dir": str(files.checkpoints),
            "smtp_host": HOST,
            "smtp_port": str(self.ports.smtp),
            "smtp_tls": "none",
            "mail_sender": MAIL_SENDER,
            "mail_archive": f"maildir:{files.maildir}",
            "mail_signer_certificate": str(files.mail / "signer.pem"),
            "mail_signer_key": str(files.mail / "signer.key"),
            **({"mail_openpgp_key": str(files.mail / "signer.asc")} if is_installed() else {}),
            "mail_ca": str(files.mail / "ca.pem"),
            "console_dir": str(files.console),
            "console_public_url": urls["console"],
            "desk_url": urls["desk"],
            "inbox_dir": str(files.inbox),
            "inbox_keys": str(files.inbox_keys),
        }

    def environ_for(self, process: Process) -> dict[str, str]:
        """The environment of one process: the machine's own, and of ours what its role reads and nothing else."""
        return environ_for(process, self.settings(), self.own)

    def stages(self, broker: Program | None) -> list[list[Program]]:
        """What to start, in this order: who is called upon before who calls."""
        ports = self.ports
        inbox = self._program(
            Process.INBOX,
            serving.inbox(HOST, ports.inbox, ports.smtp),
            both(greets(ports.smtp), answers_http(ports.inbox)),
        )
        web = [
            self._program(Process.DESK, serving.desk(HOST, ports.desk), answers_http(ports.desk)),
            self._program(Process.CONSOLE, serving.console(HOST, ports.console), answers_http(ports.console)),
        ]
        # Celery prints this once it listens to its queue.
        workers = [
            self._program(Process.RELAY, serving.relay()),
            self._program(Process.WORKER, serving.worker(serving.Queue.GENERAL, 2), says(" ready.")),
            self._program(Process.SIGNING, serving.worker(serving.Queue.SIGNING, 1), says(" ready.")),
        ]
        witness = self._program(Process.WITNESS, serving.witness())
        beat = self._program(Process.BEAT, serving.beat(self.files.run / "beat-schedule"))
        return [([broker] if broker else []) + [inbox], web + workers, [beat, witness]]

    def _program(self, process: Process, command: tuple[str, ...], ready: Probe | None = None) -> Program:
        return Program(process.value, command, self.environ_for(process), ready)


def environ_for(process: Process, settings: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The environment that gives a process the settings of its role. Secrets stay in files."""
    known = {each.name for each in fields(SETTINGS_OF[process])}
    given = {variable(name): value for name, value in settings.items()} | dict(own)
    read = {
        name: value
        for name, value in given.items()
        if name.removeprefix(PREFIX).removesuffix("_FILE").lower() in known or name == CLOCK_FILE_VARIABLE
    }
    machine = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return machine | {"PYTHONUNBUFFERED": "1"} | read
