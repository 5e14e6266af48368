"""The settings of every role, and whether they suit a desk that people rely on."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from workflow.cli.checkup.findings import Environ, Finding, fail, ok, warn
from workflow.cli.installation import SETTINGS_OF, Process
from workflow.errors import DeskError
from workflow.services.desk import desk_from
from workflow.settings import PREFIX, Database, DeskSettings, Mode, known_variables, load

CHECK = "settings"
WORKS = (Process.DESK, Process.RELAY, Process.WORKER, Process.SIGNING, Process.WITNESS, Process.BEAT)


def look(environ_of: dict[Process, Environ], own: Environ) -> Iterator[Finding]:
    """Each role's settings as its process would read them; then words nobody reads, and what production asks for."""
    broken = False
    for process in WORKS:
        try:
            load(SETTINGS_OF[process], environ_of[process])
        except DeskError as error:
            broken = True
            yield fail(CHECK, f"{process.value}: {error}", "Correct the variable where this process is started.")
    try:
        desk_from(load(Database, environ_of[Process.DESK]))
    except DeskError as error:
        broken = True
        yield fail(CHECK, f"Catalogue or policy cannot be used: {error}", "Run: licdesk policy check FILE")
    unknown = sorted(name for name in own if name.startswith(PREFIX) and name not in known_variables() | CLIENT)
    if unknown:
        yield warn(CHECK, f"Nobody reads {', '.join(unknown)}.", "Look for a typing error, or remove it.")
    if not broken:
        yield ok(CHECK, f"Every role can read its settings ({', '.join(each.value for each in WORKS)}).")
        yield from _for_production(load(DeskSettings, environ_of[Process.DESK]))


CLIENT = frozenset({"LICDESK_URL", "LICDESK_TOKEN", "LICDESK_TOKEN_FILE"})
"""What the commands that talk to a desk read."""


def _for_production(desk: DeskSettings) -> Iterator[Finding]:
    if desk.mode is not Mode.PRODUCTION:
        return
    if urlsplit(desk.public_url).scheme != "https":
        yield warn(
            "address",
            f"Links in mails lead to {desk.public_url}, which is not encrypted.",
            "Put a proxy with TLS in front and set LICDESK_PUBLIC_URL to its https address.",
        )
    if not desk.secure_cookies:
        yield fail("address", "Session cookies travel in clear.", "Unset LICDESK_SECURE_COOKIES.")
    if desk.policy_file is None:
        yield warn(
            "policy",
            "The shipped policy is in force: one approver decides alone.",
            "Write your own and name it in LICDESK_POLICY_FILE; docs/approvals.md says how.",
        )
