"""The demo's story, step by step over HTTP: each step does what a person would do, and checks that it really happened."""

import base64
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx

from workflow.cli import cast
from workflow.cli.application_file import read_application
from workflow.cli.client import add_missing
from workflow.cli.desk_client import DeskClient, RefusedByDesk
from workflow.cli.telling import Telling
from workflow.cli.visitor import Visitor
from workflow.domain.application import SPINE, STANDING_WORDS, STATUS_WORDS, Standing, Status
from workflow.domain.delivery import Channel
from workflow.domain.events import REACHED_BY
from workflow.domain.reminders import due_at
from workflow.errors import Conflict
from workflow.license_file import Environment, Expected, LicenseRefused, TrustChain, verify_license
from workflow.times import set_clock, wall_now

PATIENCE = 60.0
"""seconds that a step may take"""
SCAN_PATIENCE = 150.0
"""seconds until the next scan must have run; it comes once a minute by default"""
POLL = 0.2
REMINDER_HOUR = 9
UNDECIDED = (Status.DRAFT, Status.SUBMITTED, Status.CHANGES_REQUESTED, Status.APPROVED)

Found = TypeVar("Found")


class DidNotHappen(Conflict):
    """Something that the demo is there to show did not happen; the sentence says what, and where to look."""

    code = "demo.did_not_happen"


@dataclass(frozen=True)
class Places:
    """Where the demo's servers and files are."""

    desk: str
    console: str
    inbox: str
    console_token: Path
    clock: Path
    trust: Path
    downloads: Path


@dataclass(frozen=True)
class Taken:
    """A license that went through all five states."""

    application: str
    license_id: str
    version: int
    first_day: date
    last_day: date
    time_zone: str
    file: Path


class Story:
    """Takes applications through the five states, and moves the clock. Every method raises DidNotHappen."""

    def __init__(self, places: Places, liaison: DeskClient, operator: DeskClient, password: str, telling: Telling) -> None:
        self._places = places
        self._liaison, self._operator = liaison, operator
        self._password = password
        self._tell = telling
        self._inbox = httpx.Client(base_url=places.inbox, timeout=30)

    def apply(self, example: Path) -> str:
        """Applies with an example file; where the platform has a license already, it is a renewal. Returns the number."""
        self._clear_away()
        stated = read_application(example, self._liaison.now())
        for added in add_missing(self._liaison, stated):
            self._tell.detail(added)
        has_license = next(self._liaison.pages("/licenses", environment=stated.body["environment"], limit=1), None)
        body = dict(stated.body) | {"request": "renewal" if has_license else "new"}
        made = self._liaison.post("/applications", body)
        self._tell.said(f"{cast.LIAISON.name} applies with {example.name}", made["links"]["page"])
        return str(made["number"])

    def renew(self, before: Taken) -> str:
        """Starts the renewal of a license for one more year. Returns the number of the application."""
        days = {"first_day": before.first_day, "last_day": before.last_day + timedelta(days=365)}
        body = {"license_id": before.license_id, "note": "One more year.", **{name: str(day) for name, day in days.items()}}
        made = self._liaison.post("/renewals", body)
        self._expect(made["request"] == "renewal", f"{made['number']} is no renewal")
        self._tell.said(f"{cast.LIAISON.name} starts the renewal of version {before.version}", made["links"]["page"])
        return str(made["number"])

    def take_through(self, number: str) -> Taken:
        """From submitted to activated: approval, signature, mail, upload. Every event is told as it comes."""
        follow = _Follower(self._liaison, number, self._tell)
        self._follow_to(follow, Status.SUBMITTED)
        self._approve(number)
        with self._tell.waiting("the signing worker signs, the delivery worker sends"):
            self._follow_to(follow, Status.DELIVERED)
        issued = self._liaison.get(f"/applications/{number}")["license"]
        path = self._fetch_from_mail(number, issued)
        self._activate(path, issued)
        with self._tell.waiting("the platform's receipt reaches the desk"):
            self._follow_to(follow, Status.ACTIVATED)
        self._check_path(number)
        return Taken(
            application=number,
            license_id=issued["license_id"],
            version=issued["version"],
            first_day=date.fromisoformat(issued["first_day"]),
            last_day=date.fromisoformat(issued["last_day"]),
            time_zone=issued["time_zone"],
            file=path,
        )

    def move_clock(self, taken: Taken, days_ahead: int) -> None:
        """Moves the demo's clock to 09:00 in the license's zone, so many days before its last usable day."""
        at = due_at(taken.last_day, days_ahead, taken.time_zone, REMINDER_HOUR)
        set_clock(self._places.clock, at)
        local = at.astimezone(ZoneInfo(taken.time_zone))
        days = "1 day" if days_ahead == 1 else f"{days_ahead} days"
        self._tell.said(
            f"The clock goes to {local:%-d %b %Y %H:%M}, {taken.time_zone}: {days} before version {taken.version} ends"
        )
        self._expect(abs((self._liaison.now() - at).total_seconds()) < 60, "the desk's clock did not follow")

    def reset_clock(self) -> None:
        """Back to the machine's time."""
        set_clock(self._places.clock, None)

    def see_reminder(self, taken: Taken, days_ahead: int) -> None:
        """The reminder reaches every recipient and the liaison, and their mail is in the inbox."""
        terms = self._liaison.get(f"/applications/{taken.application}")["terms"]
        expected = {*terms["recipients"], cast.LIAISON.email}

        def all_sent() -> list[dict[str, Any]] | None:
            rows = [each for each in self._reminders(taken) if each["days_ahead"] == days_ahead]
            failed = [each for each in rows if each["state"] in ("failed", "skipped")]
            self._expect(not failed, f"a reminder was not sent: {failed}")
            sent = [each for each in rows if each["state"] == "sent"]
            return sent if {each["address"] for each in sent} == expected else None

        with self._tell.waiting("the scan finds what is due, the worker writes"):
            self._until(all_sent, f"the reminder {days_ahead} days ahead reached {', '.join(sorted(expected))}", SCAN_PATIENCE)
        for address in sorted(expected):
            look = partial(self._reminder_mail, address, taken)
            mail = self._until(look, f"a reminder lies in the inbox of {address}")
            self._tell.mail(mail["subject"], address, self._mail_address(mail))

    def see_no_reminder(self, taken: Taken, days_ahead: int) -> None:
        """A whole scan later nobody was reminded of this version again."""
        before, moved = self._reminders(taken), wall_now()

        def scanned() -> bool:
            processes = self._operator.get("/health")["processes"]
            return any(each["process"] == "beat" and datetime.fromisoformat(each["at"]) > moved for each in processes)

        with self._tell.waiting("the next scan runs"):
            self._until(scanned, "a scan ran", SCAN_PATIENCE)
        time.sleep(1)  # a job that the scan owed would be sent now
        after = self._reminders(taken)
        wrong = [each["address"] for each in after if each["days_ahead"] == days_ahead or each not in before]
        self._expect(not wrong, f"{', '.join(wrong)} were reminded of version {taken.version} again")
        self._tell.done(f"The scan ran, and nobody was reminded of version {taken.version}")

    def check_succession(self, before: Taken, after: Taken) -> None:
        """Same License ID, the predecessor superseded at the desk, both versions in the platform's history."""
        self._expect(before.license_id == after.license_id, "the renewal has another License ID")
        self._expect(after.version == before.version + 1, f"version {after.version} follows version {before.version}")
        versions = self._liaison.get(f"/licenses/{after.license_id}")["versions"]
        standing = {each["version"]: each["standing"] for each in versions}
        self._expect(
            standing[before.version] == "superseded", f"version {before.version} is {_standing(standing[before.version])}"
        )
        self._expect(standing[after.version] == "activated", f"version {after.version} is {_standing(standing[after.version])}")
        status = self._liaison.get(f"/applications/{before.application}")["status"]
        self._expect(status == Status.SUPERSEDED, f"{before.application} is {STATUS_WORDS[Status(status)].lower()}")
        history = self._signed_in().open("/console/license/history.csv")
        for each in (before, after):
            line = next((line for line in history.splitlines() if _is_of(line, each)), None)
            self._expect(line is not None, f"version {each.version} is not in the platform's history")
        self._tell.done(f"Same License ID {after.license_id}; version {before.version} is superseded, both are in the history")

    def _fetch_from_mail(self, number: str, issued: Mapping[str, Any]) -> Path:
        """The file as the administrator gets it: decrypted from the mail, byte for byte what was signed."""
        deliveries = list(self._liaison.pages(f"/applications/{number}/deliveries"))
        encrypted = next(
            (each for each in deliveries if each["channel"] == Channel.SMIME and each["state"] == "accepted"), None
        )
        if encrypted is None:
            raise DidNotHappen(f"No encrypted mail was accepted for {number}: {deliveries}")
        mail = self._until(
            lambda: self._mail_with(encrypted["message_id"]), f"the mail to {encrypted['address']} lies in the inbox"
        )
        self._expect(mail["encrypted"], "the mail with the license is not encrypted")
        self._expect(mail["signed"], f"the mail is not well signed: {mail['signature']}")
        opened = self._inbox.get(f"/api/messages/{mail['id']}").json()
        file = next((each for each in opened["files"] if each["name"] == issued["file_name"]), None)
        if file is None:
            raise DidNotHappen(f"The mail holds no {issued['file_name']}, only {mail['file_names']}.")
        raw = base64.b64decode(file["content"])
        self._expect(hashlib.sha256(raw).hexdigest() == issued["file_sha256"], "the mail holds other bytes than were signed")
        self._verify(raw, issued)
        self._places.downloads.mkdir(parents=True, exist_ok=True)
        path = self._places.downloads / str(issued["file_name"])
        path.write_bytes(raw)
        self._tell.mail(opened["subject"], encrypted["address"], self._mail_address(mail), mail["signature"])
        self._tell.file(path)
        return path

    def _verify(self, raw: bytes, issued: Mapping[str, Any]) -> None:
        trust = TrustChain.read(self._places.trust, (self._places.trust / "pin.txt").read_text(encoding="ascii")).current
        expected = Expected(issued["tenant_id"], Environment(issued["environment"]))
        try:
            verify_license(raw, trust, expected, self._liaison.now())
        except LicenseRefused as refused:
            raise DidNotHappen(f"The file in the mail does not verify: {refused}") from refused

    def _approve(self, number: str) -> None:
        """What the approver does on the page; for PROD it asks for the password again, so no program can."""
        page = Visitor(self._places.desk)
        page.sign_in("/sign-in", cast.APPROVER.email, self._password)
        page.open(f"/approvals/{number}")
        revision = dict(page.form(f"/approvals/{number}").fields)["revision"]
        self._tell.said(f"{cast.APPROVER.name} reads revision {revision} and approves, with the password once more")
        page.send(f"/approvals/{number}", decision="approve", comment="Checked against the contract.")

    def _activate(self, path: Path, issued: Mapping[str, Any]) -> None:
        """What the administrator does in License Management: upload, look, activate."""
        page = self._signed_in()
        self._tell.said(
            f"{cast.ADMINISTRATOR.name} uploads {path.name} in License Management", f"{self._places.console}/console/license"
        )
        page.open("/console/license")
        page.send("/console/license/uploads", {"file": (path.name, path.read_bytes())})
        self._tell.detail(f"Checked; the preview asks: activate version {issued['version']}?")
        # A license that takes something away wants to hear that this is meant; a demo run on top of another one can.
        page.send("/activate", **({"acknowledged": "yes"} if 'name="acknowledged"' in page.text else {}))
        token = self._places.console_token.read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}"}
        told = httpx.get(f"{self._places.console}/console/api/license", headers=headers, timeout=30).json()
        in_force = (told["license_id"], told["version"])
        self._expect(in_force == (issued["license_id"], issued["version"]), f"the platform runs on {in_force}")
        self._tell.done(f"Version {told['version']} is in force on the platform: {told['state']}")

    def _signed_in(self) -> Visitor:
        page = Visitor(self._places.console)
        page.sign_in("/console/sign-in", cast.ADMINISTRATOR.email, self._password)
        return page

    def _follow_to(self, follow: "_Follower", status: Status) -> None:
        self._until(lambda: follow.reached(status), f"{follow.number} is {STATUS_WORDS[status].lower()}")

    def _check_path(self, number: str) -> None:
        types = [each["type"] for each in self._liaison.pages(f"/applications/{number}/events")]
        places = [types.index(each) if each in types else -1 for each in REACHED_BY]
        self._expect(-1 not in places and places == sorted(places), f"{number} did not take the path; its events are {types}")
        self._tell.done(f"{number}: {' → '.join(each.value for each in SPINE)}")

    def _clear_away(self) -> None:
        """Takes back what an interrupted demo left undecided."""
        for status in UNDECIDED:
            for each in self._liaison.pages("/applications", status=status.value, environment=cast.CONSOLE_ENVIRONMENT):
                self._liaison.post(f"/applications/{each['number']}/withdraw", {"comment": "The demo starts again."})

    def _reminders(self, taken: Taken) -> list[dict[str, Any]]:
        found = self._liaison.pages("/reminders", license_id=taken.license_id, limit=200)
        return [each for each in found if each["version"] == taken.version]

    def _mail_with(self, message_id: str) -> dict[str, Any] | None:
        return next((each for each in self._mails() if each["message_id"] == message_id), None)

    def _reminder_mail(self, to: str, taken: Taken) -> dict[str, Any] | None:
        events = self._liaison.pages(f"/applications/{taken.application}/events")
        sent = [each["payload"] for each in events if each["type"] == "reminder.sent"]
        ids = {each["message_id"] for each in sent if each["address"] == to}
        return next((each for each in self._mails() if each["message_id"] in ids), None)

    def _mails(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._inbox.get("/api/messages").json()
        return found

    def _mail_address(self, mail: Mapping[str, Any]) -> str:
        return f"{self._places.inbox}/messages/{mail['id']}"

    def _until(self, look: Callable[[], Found | None], what: str, within: float = PATIENCE) -> Found:
        return until(look, what, within, self._places.desk)

    @staticmethod
    def _expect(true: bool, otherwise: str) -> None:
        if not true:
            raise DidNotHappen(f"{otherwise[:1].upper()}{otherwise[1:]}.")


class _Follower:
    """Reads an application's events as they come and tells each once."""

    def __init__(self, desk: DeskClient, number: str, telling: Telling) -> None:
        self.number = number
        self._desk = desk
        self._tell = telling
        self._seen = 0

    def reached(self, status: Status) -> bool:
        """Tells what is new; whether the application has come as far as `status`. Raises DidNotHappen at a dead end."""
        try:
            found = self._desk.get(f"/applications/{self.number}")  # before its events: what it says has been told then
        except RefusedByDesk as refused:
            raise DidNotHappen(f"{self.number} cannot be read: {refused}") from refused
        for each in self._desk.pages(f"/applications/{self.number}/events", after=self._seen):
            self._seen = each["sequence"]
            self._tell.event(each)
        if found["attention"]:
            raise DidNotHappen(f"{self.number} needs attention: {found['attention']}")
        now = Status(found["status"])
        if now not in SPINE:
            raise DidNotHappen(f"{self.number} is {STATUS_WORDS[now].lower()}.")
        return SPINE.index(now) >= SPINE.index(status)


def until(look: Callable[[], Found | None], what: str, within: float, where: str) -> Found:
    """What `look` finds once it finds something. Raises DidNotHappen when that takes more than `within` seconds."""
    end = time.monotonic() + within
    while not (found := look()):
        if time.monotonic() > end:
            raise DidNotHappen(f"After {within:.0f} s it is still not so that {what}. Look at {where}")
        time.sleep(POLL)
    return found


def _standing(standing: str) -> str:
    return STANDING_WORDS[Standing(standing)].lower()


def _is_of(line: str, taken: Taken) -> bool:
    cells = line.split(",")
    return taken.license_id in cells and str(taken.version) in cells
