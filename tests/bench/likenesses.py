"""Rows that look like years of work, made of numbers alone: two fillings are alike, and any part can be made by itself.

The histories hold: every event carries its true hash. Left out: the files are short stand-ins that nobody signed; an
application keeps three of its jobs, two of its messages and one vote; reminders have no job; a customer has one recipient.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from json.encoder import encode_basestring as quoted
from uuid import UUID

from tests import people
from workflow.db.queries import words
from workflow.domain.application import Standing, Status
from workflow.license_file import Environment

Row = tuple[str | int | bytes | None, ...]
Rows = dict[str, list[Row]]

COLUMNS: dict[str, tuple[str, ...]] = {
    "person": ("id", "email", "name", "team", "created_at"),
    "role_grant": ("id", "person", "role", "granted_at"),
    "tenant": ("id", "tenant_id", "company", "time_zone", "created_at"),
    "recipient": ("id", "tenant", "name", "address", "fingerprint", "key_ends_at", "created_at", "changed_at"),
    "tenant_word": ("tenant", "word"),
    "environment": ("id", "tenant", "name", "label", "license_id", "created_at"),
    "installation": ("id", "installation_id", "keyid", "environment", "first_seen_at", "confirmed_at"),
    "counter": ("name", "value"),
    "application": (
        *("id", "number", "environment", "request", "renews", "status", "revision", "version", "owner", "draft", "title"),
        *("submitted_at", "created_at", "updated_at"),
    ),
    "revision": (
        *("id", "application", "number", "content", "content_sha256", "content_digest", "author", "approvals_from"),
        *("policy_sha256", "distinct_people", "automatic", "created_at"),
    ),
    "requirement": ("id", "application", "revision", "rule", "group_name", "count", "explanation"),
    "vote": (
        *("id", "application", "revision", "person", "choice", "comment", "groups", "content_digest", "channel"),
        *("event_hash", "at"),
    ),
    "event_stream": ("stream", "count", "head"),
    "event": (
        *("id", "stream", "sequence", "type", "schema_version", "actor", "actor_name", "channel", "revision", "at"),
        *("payload", "previous", "hash"),
    ),
    "license": (
        *("id", "application", "environment", "license_id", "version", "payload", "envelope", "key_ids", "payload_sha256"),
        *("envelope_sha256", "time_zone", "first_day", "last_day", "valid_from", "valid_until", "grace_until", "issued_at"),
        *("delivered_at", "activated_at", "standing", "next_reminder_at"),
    ),
    "job": (
        *("id", "kind", "ref", "recipient", "event", "detail", "dedupe_key", "state", "next_at", "owner", "attempts"),
        *("last_error", "created_at", "done_at"),
    ),
    "delivery": (
        *("id", "job", "application", "license", "recipient", "name", "address", "kind", "channel", "subject"),
        *("message_id", "mime_sha256", "state", "attempts", "data_started_at", "smtp_code", "smtp_reply", "sent_at"),
        "created_at",
    ),
    "attempt": ("id", "delivery", "channel", "result", "marked_at", "smtp_code", "smtp_reply", "at"),
    "receipt": ("receipt_id", "installation", "license", "event", "envelope", "sha256", "at", "outcome", "received_at"),
    "reminder": ("license", "expiry", "days_ahead", "recipient", "name", "state", "created_at", "sent_at"),
}
"""What is written of each table; every other column has what the table gives a new row."""

YEARS = 4
"""Each environment asks for a license once a year."""
TERM = YEARS * 1461 // 4 * 86_400
EXTRA_LIAISONS, EXTRA_APPROVERS, TEAMS = 60, 20, 12
POLICY = hashlib.sha256(b"policy").hexdigest()
KEY = hashlib.sha256(b"key").hexdigest()
ENVIRONMENTS = [each.value for each in Environment]
_FIRST = ("Harbour", "Silver", "North", "Blue", "Granite", "Willow", "Summit", "Amber", "Coral", "Falcon", "Maple", "Orchid")
_SECOND = ("line", "gate", "field", "bridge", "stone", "wing", "water", "light", "ridge", "crest", "vale", "port", "mark")
_TRADE = ("Logistics", "Health", "Foods", "Energy", "Bank", "Insurance", "Motors", "Textiles", "Media", "Shipping", "Chemicals")
_FORM = ("Co., Ltd.", "GmbH", "Inc.", "plc", "S.A.")
_CHINESE = ("港湾物流有限公司", "银杏医疗集团", "北方能源股份有限公司", "蓝海保险有限公司", "枫叶食品有限公司")
_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_OPEN = (Status.SUBMITTED,) * 6 + (Status.CHANGES_REQUESTED, Status.DRAFT, Status.APPROVED, Status.ISSUED)
_NO_LICENSE = {Status.SUBMITTED, Status.CHANGES_REQUESTED, Status.DRAFT, Status.APPROVED, Status.REJECTED, Status.WITHDRAWN}
_TIMES = [f"{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}.000000" for at in range(86_400)]
_DAYS: dict[int, str] = {}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIMITS = '{"agents":120,"users":800}'


def _staff_id(number: int) -> UUID:
    return UUID(int=(0x7 << 76) | (0x2 << 62) | (1000 + number))


_EXTRA = [(_staff_id(at), f"Liaison {at:02}") for at in range(EXTRA_LIAISONS)]
LIAISONS = [(people.id_of(people.LIAISON), people.LIAISON.name), *_EXTRA]
_VOTERS = [(_staff_id(EXTRA_LIAISONS + at), f"Approver {at:02}") for at in range(EXTRA_APPROVERS)]
APPROVERS = [(people.id_of(each), each.name) for each in people.APPROVERS] + _VOTERS


@dataclass(frozen=True)
class Population:
    """How much work there is. `due` licenses have a reminder that is due; as in life, what is open depends on how many come a
    day: the applications of the last days."""

    applications: int
    due: int
    now: datetime

    @property
    def environments(self) -> int:
        """How many platforms ask for licenses; three of a customer."""
        return max(3, self.applications // YEARS)

    @property
    def open(self) -> int:
        """How many applications have not been delivered yet."""
        return max(20, self.applications // 400)

    @property
    def end(self) -> int:
        """Now, in seconds."""
        return int((self.now - _EPOCH).total_seconds())

    @cached_property
    def stride(self) -> int:
        """Every which license of the last year has a reminder that is due."""
        return max(1, (self.applications - self.open - self._newest) // max(1, self.due))

    @property
    def _newest(self) -> int:
        return self.environments * (YEARS - 1)

    def is_due(self, number: int) -> bool:
        """Whether this application's license has a reminder that is due."""
        place = number - self._newest
        return place >= 0 and place % self.stride == 0 and place // self.stride < self.due and not self.is_open(number)

    def is_open(self, number: int) -> bool:
        """Whether this application came in the last days."""
        return number >= self.applications - self.open

    def drafted(self, number: int) -> int:
        """When this application was begun, in seconds."""
        return self.end - 600 - TERM + TERM * number // self.applications

    def outcome(self, number: int) -> Status:
        """What became of this application, apart from time and later ones."""
        if self.is_open(number):
            return _OPEN[number % len(_OPEN)]
        if self.is_due(number):
            return Status.ACTIVATED
        return {7: Status.REJECTED, 19: Status.WITHDRAWN, 31: Status.REVOKED, 43: Status.DELIVERED}.get(
            number % 97, Status.ACTIVATED
        )

    def is_superseded(self, number: int) -> bool:
        """Whether a later application of the same environment has led to a license in force."""
        later = range(number + self.environments, self.applications, self.environments)
        return any(self.outcome(each) in (Status.ACTIVATED, Status.REVOKED) for each in later)


def stamp(seconds: int) -> str:
    """An instant as both databases read it, in UTC."""
    day, rest = divmod(seconds, 86_400)
    return f"{_day(day)} {_TIMES[rest]}"


def _day(day: int) -> str:
    if day not in _DAYS:
        _DAYS[day] = (_EPOCH + timedelta(days=day)).date().isoformat()
    return _DAYS[day]


def _id(seconds: int, kind: int, number: int) -> str:
    """A UUID version 7 of that second; `kind` orders what happens at once."""
    return f"{seconds * 1000 + kind:012x}7{kind:03x}8{number:015x}"


def _dashed(of: str) -> str:
    return f"{of[:8]}-{of[8:12]}-{of[12:16]}-{of[16:20]}-{of[20:]}"


def _digest(*of: object) -> str:
    return hashlib.sha256(repr(of).encode()).hexdigest()


def company(customer: int) -> str:
    """The name of a customer; one in seven has a Chinese one."""
    if customer % 7 == 3:
        return f"{_CHINESE[customer % len(_CHINESE)]}{customer}"
    name, trade, form = customer, customer // 5, customer // 3
    first, second = _FIRST[name % len(_FIRST)], _SECOND[name // len(_FIRST) % len(_SECOND)]
    return f"{first}{second} {customer} {_TRADE[trade % len(_TRADE)]} {_FORM[form % len(_FORM)]}"


def tenant_id(customer: int) -> str:
    """The tenant ID of a customer."""
    return f"T-{100_000 + customer}"


def license_id(environment: int) -> str:
    """The License ID of an environment."""
    digest = hashlib.sha256(str(environment).encode()).digest()
    signs = "".join(_SIGNS[each % 32] for each in digest[:15])
    return f"{ENVIRONMENTS[environment % 3]}-{signs[:5]}-{signs[5:10]}-{signs[10:]}"


def staff(population: Population) -> Rows:
    """The people besides those of `tests.people`, and the number that the next application gets."""
    hired = stamp(population.end - TERM - 86_400)
    told = [
        (person, "liaison" if (person, name) in _EXTRA else "approver", name, number)
        for number, (person, name) in enumerate([*_EXTRA, *_VOTERS])
    ]
    return {
        "person": [
            (each.hex, f"{name.lower().replace(' ', '.')}@serviceme.example", name, f"team {number % TEAMS}", hired)
            for each, _, name, number in told
        ],
        "role_grant": [(_id(population.end - TERM, 1, number), each.hex, role, hired) for each, role, _, number in told],
        "counter": [(f"application-{population.now.year}", population.applications)],
    }


def work(population: Population, numbers: range) -> Rows:
    """The rows of these applications. An environment comes with its first application, a customer with its first one."""
    rows: Rows = {name: [] for name in COLUMNS}
    for number in numbers:
        if number < population.environments:
            _place(rows, population, number)
        _Application(population, number).tell(rows)
    return rows


def _place(rows: Rows, population: Population, environment: int) -> None:
    customer, since = environment // 3, population.end - TERM - 86_400
    tenant, here, at = _id(since, 2, customer), _id(since, 3, environment), stamp(since)
    if environment % 3 == 0:
        rows["tenant"].append((tenant, tenant_id(customer), company(customer), "Asia/Shanghai", at))
        ends = stamp(population.end + (customer % 700 + 40) * 86_400)
        address, print_ = _address(customer), _digest("certificate", customer)
        name = f"Administrator {customer}"
        rows["tenant_word"] += [(tenant, word) for word in sorted(words.ends_of(company(customer), tenant_id(customer)))]
        rows["recipient"].append((_id(since, 4, customer), tenant, name, address, print_, ends, at, at))
    rows["environment"].append((here, tenant, ENVIRONMENTS[environment % 3], "", license_id(environment), at))
    rows["tenant_word"] += [(tenant, word) for word in words.asked(license_id(environment)).words]
    installation = (_id(since, 5, environment), f"inst-{environment}", _digest("platform", environment), here, at, at)
    rows["installation"].append(installation)


def _address(customer: int) -> str:
    return f"admin{customer}@customer{customer}.example"


class _Application:
    """One application, from its draft to what became of it."""

    def __init__(self, population: Population, number: int) -> None:
        self.population, self.number = population, number
        self.environment = number % population.environments
        self.customer = self.environment // 3
        self.since = population.end - TERM - 86_400
        self.version = number // population.environments + 1
        self.at = population.drafted(number)
        self.outcome = population.outcome(number)
        self.id = _id(self.at, 6, number)
        self.stream = _dashed(self.id)
        self.license = _id(self.at + 7_260, 7, number)
        self.license_id = license_id(self.environment)
        self.owner, self.owner_name = LIAISONS[self.environment % len(LIAISONS)]
        self.voter, self.voter_name = APPROVERS[number % len(APPROVERS)]
        self.recipient = _id(self.since, 4, self.customer)
        self.address = _address(self.customer)
        self.content_digest = _digest("content", number)
        self.first_day = self.at // 86_400 + 1
        length = 364 - number * 7 % 60
        self.last_day = population.end // 86_400 + 14 if population.is_due(number) else self.first_day + length
        self.valid_until = self.last_day * 86_400 + 57_600
        self.grace_until = self.valid_until + 14 * 86_400
        self.superseded = self.outcome not in _NO_LICENSE and population.is_superseded(number)
        self.expired = not self.superseded and self.outcome is Status.ACTIVATED and self.grace_until <= population.end
        self._previous, self._count, self._last = "", 0, self.at
        self._rows: Rows = {}

    def tell(self, rows: Rows) -> None:
        """Adds its rows."""
        self._rows = rows
        drafted = self.outcome is Status.DRAFT
        self._event(0, "application.drafted", self._liaison, '{"copied_from":null}', revision=None)
        if not drafted:
            self._submit()
        if self.outcome in (Status.SUBMITTED, Status.DRAFT):
            pass
        elif self.outcome is Status.WITHDRAWN:
            self._event(3_600, "application.withdrawn", self._liaison, '{"comment":"Not needed any more."}')
        else:
            self._decide()
        if self.outcome not in _NO_LICENSE:
            self._issue()
        rows["event_stream"].append((self.stream, self._count, self._previous))
        title = f"{company(self.customer)} {ENVIRONMENTS[self.environment % 3]}"
        renews = self.number - self.population.environments
        old = renews >= 0
        rows["application"].append(
            (
                *(self.id, f"APP-{_day(self.at // 86_400)[:4]}-{self.number + 1:04d}"),
                None if drafted else _id(self.since, 3, self.environment),
                *("renewal" if old else "new", _id(self.population.drafted(renews), 6, renews) if old else None),
                *(self._status(), 0 if drafted else 1, self._count, self.owner.hex, self._answers(), title),
                *(None if drafted else stamp(self.at + 600), stamp(self.at), stamp(self._last)),
            )
        )

    @property
    def _liaison(self) -> tuple[str, str, str]:
        return f"person:{self.owner}", self.owner_name, "web"

    @property
    def _approver(self) -> tuple[str, str, str]:
        return f"person:{self.voter}", self.voter_name, "web"

    def _status(self) -> str:
        if self.superseded:
            return Status.SUPERSEDED
        return Status.EXPIRED if self.expired else self.outcome

    def _answers(self) -> str:
        first, last = _day(self.first_day), _day(self.last_day)
        return (
            f'{{"contract_reference":"C-{self.number}","environment":"{ENVIRONMENTS[self.environment % 3]}","kind":"standard",'
            f'"label":"","limits":{_LIMITS},"model_types":["chat"],"modules":["agent-studio","knowledge-base"],'
            f'"note":"Order PO-{self.number}.","recipients":["{self.address}"],"request":"new","restrictions":[],'
            f'"tenant_id":"{tenant_id(self.customer)}",'
            f'"validity":{{"first_day":"{first}","last_day":"{last}","time_zone":"Asia/Shanghai"}}}}'
        )

    def _submit(self) -> None:
        at = self.at + 600
        payload = f'{{"content_digest":"{self.content_digest}","note":"","policy":"{POLICY}","revision":1}}'
        event = self._event(600, "application.submitted", self._liaison, payload)
        defaults = (
            '{"contact_mailbox":"licensing@serviceme.example","contact_name":"License desk","contact_phone":"",'
            '"contact_url":"","count_agents":"total","count_users":"named","grace_days":14,"on_expiry":"block_new",'
            '"over_limit":"block_new"}'
        )
        content = (
            f'{{"company":{quoted(company(self.customer))},"defaults":{defaults},"license_id":"{self.license_id}",'
            f'"request":{self._answers()},"restrictions":[]}}'
        )
        revision = (_id(at, 8, self.number), self.id, 1, content, hashlib.sha256(content.encode()).hexdigest())
        self._rows["revision"].append((*revision, self.content_digest, self.owner.hex, 1, POLICY, 1, 0, stamp(at)))
        rule = ("one-approver", "approvers", 1, "One approver decides.")
        self._rows["requirement"].append((_id(at, 9, self.number), self.id, 1, *rule))
        self._letter(at, 10, event, "approval_requested", self.voter.hex, self.voter_name, "approver@serviceme.example")

    def _decide(self) -> None:
        at = self.at + 7_200
        comment = f'"comment":"","content_digest":"{self.content_digest}"'
        match self.outcome:
            case Status.REJECTED:
                choice, kind = "reject", "application.rejected"
                payload = '{"acting_for":"","comment":"Not this way.","on_behalf_of":null,"revision":1}'
            case Status.CHANGES_REQUESTED:
                choice, kind = "changes", "application.changes_requested"
                payload = '{"acting_for":"","comment":"Fewer agents.","on_behalf_of":null,"revision":1}'
            case _:
                choice, kind = "approve", "application.approval_recorded"
                payload = f'{{"acting_for":"",{comment},"on_behalf_of":null,"revision":1}}'
        self._event(7_200, kind, self._approver, payload)
        vote = (_id(at, 11, self.number), self.id, 1, self.voter.hex, choice, "", "approvers", self.content_digest, "web")
        self._rows["vote"].append((*vote, self._previous, stamp(at)))
        if choice != "approve":
            return
        payload = f'{{"approvals":1,"content_digest":"{self.content_digest}","policy":"{POLICY}","revision":1}}'
        event = self._event(7_200, "application.approved", self._approver, payload)
        self._job(at, 12, "license.sign", event, self.id, None, "", pending=self.outcome is Status.APPROVED)

    def _issue(self) -> None:
        at, version = self.at + 7_260, f'"license_id":"{self.license_id}","version":{self.version}'
        issued = _digest("payload", self.number)
        payload = (
            f'{{"key_ids":["{KEY}"],"license_id":"{self.license_id}","payload_sha256":"{issued}","version":{self.version}}}'
        )
        event = self._event(7_260, "license.issued", ("system:signing worker", "signing worker", "system"), payload)
        sent = self.outcome is not Status.ISSUED
        job = self._job(at, 13, "license.deliver", event, self.id, self.recipient, "", pending=not sent)
        if sent:
            self._deliver(at + 60, job, f"{{{version}}}")
        activated = self.outcome in (Status.ACTIVATED, Status.REVOKED)
        if activated:
            self._activate(at + 60_000, version)
        self._rows["license"].append(
            (
                *(self.license, self.id, _id(self.since, 3, self.environment), self.license_id, self.version),
                *(f"payload of {self.number}".encode(), f"envelope of {self.number}".encode(), KEY, issued),
                *(_digest("envelope", self.number), "Asia/Shanghai", _day(self.first_day), _day(self.last_day)),
                *(stamp(self.first_day * 86_400 - 28_800), stamp(self.valid_until), stamp(self.grace_until), stamp(at)),
                *(stamp(at + 60) if sent else None, stamp(at + 60_000) if activated else None, self._standing()),
                self._next_reminder(),
            )
        )
        self._remind()

    def _deliver(self, at: int, job: str, version: str) -> None:
        worker = ("system:mail worker", "mail worker", "system")
        place = f'"message_id":"<{_dashed(job)}@serviceme.example>","recipient":"{_dashed(self.recipient)}"'
        payload = f'{{"address":"{self.address}","channel":"smime",{place},"reply":"250 2.0.0 accepted"}}'
        self._event(at - self.at, "delivery.accepted", worker, payload)
        self._event(at - self.at, "license.delivered", worker, version)
        name = f"Administrator {self.customer}"
        self._message(at, job, 14, ("license_delivery", "smime"), self.license, self.recipient, name, self.address)

    def _activate(self, at: int, version: str) -> None:
        receipt = f"receipt-{self.number}"
        when = stamp(at).replace(" ", "T").removesuffix(".000000") + "+00:00"
        payload = f'{{"activated_at":"{when}","installation":"inst-{self.environment}",{version.split(",")[0]},'
        payload += f'"receipt_id":"{receipt}","version":{self.version}}}'
        platform = ("system:platform", "platform", "system")
        self._event(at - self.at, "license.activated", platform, payload)
        installation = _id(self.since, 5, self.environment)
        told = (receipt, installation, self.license, "activated", b"receipt", _digest(receipt), stamp(at), "applied", stamp(at))
        self._rows["receipt"].append(told)
        if self.superseded:
            by = self.version + 1
            later = self.population.drafted(min(self.number + self.population.environments, self.population.applications - 1))
            payload = f'{{"by_version":{by},"license_id":"{self.license_id}","version":{self.version}}}'
            self._event(max(at + 60, later + 67_260) - self.at, "license.superseded", platform, payload)
        elif self.outcome is Status.REVOKED:
            payload = f'{{"license_id":"{self.license_id}","reason":"compromised","version":{self.version}}}'
            self._event(at + 600 - self.at, "license.revoked", self._approver, payload)
        elif self.expired:
            payload = f'{{"license_id":"{self.license_id}","version":{self.version}}}'
            self._event(self.grace_until - self.at, "license.expired", ("system:clock", "clock", "system"), payload)

    def _standing(self) -> str:
        if self.superseded:
            return Standing.SUPERSEDED
        if self.expired:
            return Standing.EXPIRED
        if self.outcome is Status.REVOKED:
            return Standing.REVOKED
        return Standing.ACTIVATED if self.outcome is Status.ACTIVATED else Standing.ISSUED

    def _next_reminder(self) -> str | None:
        if self._standing() not in (Standing.ACTIVATED, Standing.ISSUED):
            return None
        if self.population.is_due(self.number):
            return stamp(self.population.end - 60)
        steps = [(self.last_day - each) * 86_400 + 3_600 for each in (30, 14, 7, 1, 0)]
        return stamp(next((each for each in steps if each > self.population.end), self.population.end + 86_400))

    def _remind(self) -> None:
        at = (self.last_day - 30) * 86_400 + 3_600
        if at < self.population.end and not self.superseded:
            name, sent = f"Administrator {self.customer}", stamp(max(at, self._last))
            row = (self.license, _day(self.last_day), 30, self.address, name, "sent", sent, sent)
            self._rows["reminder"].append(row)

    def _letter(self, at: int, kind: int, event: str, letter: str, recipient: str, name: str, address: str) -> None:
        job = self._job(at, kind, "letter.send", event, self.id, recipient, letter)
        self._message(at, job, kind, (letter, "signed"), None, None, name, address)

    def _job(
        self, at: int, kind: int, name: str, event: str, ref: str, recipient: str | None, detail: str, *, pending: bool = False
    ) -> str:
        job = _id(at, 0x100 + kind, self.number)
        key = f"{name}:{event}:{recipient or ''}"
        dead = pending and self.number % 3 == 0
        state = "dead" if dead else "pending" if pending else "done"
        due = self.population.end + 3_600 if pending else at
        done = None if pending else stamp(at + 2)
        error = "The mail server answered 554 5.7.1." if dead else None
        row = (job, name, ref, recipient, event, detail, key, state, stamp(due), None, int(not pending), error)
        self._rows["job"].append((*row, stamp(at), done))
        return job

    def _message(
        self,
        at: int,
        job: str,
        kind: int,
        what: tuple[str, str],
        issued: str | None,
        recipient: str | None,
        name: str,
        address: str,
    ) -> None:
        letter, channel = what
        delivery = _id(at, 0x200 + kind, self.number)
        state, code, reply = "accepted", 250, "2.0.0 accepted"
        if self.number % 4_999 == 1:
            state, code, reply = "refused", 554, "5.7.1 refused"
        elif self.number % 19_997 == 2:
            state = "in_doubt"
        message = (f"<{_dashed(job)}@serviceme.example>", _digest("mime", delivery), state, 1, stamp(at), code, reply)
        about = (delivery, job, self.id, issued, recipient, name, address, letter, channel, f"About {self.license_id}")
        self._rows["delivery"].append((*about, *message, stamp(at + 1), stamp(at)))
        result = "unanswered" if state == "in_doubt" else state
        attempt = (_id(at, 0x300 + kind, self.number), delivery, channel, result, stamp(at), code, reply, stamp(at + 1))
        self._rows["attempt"].append(attempt)

    def _event(self, after: int, kind: str, actor: tuple[str, str, str], payload: str, *, revision: int | None = 1) -> str:
        """Appends to the application's chain; the hash is `workflow.db.outbox.chain_hash`, written out for speed."""
        self._count += 1
        self._last = at = self.at + after
        event = _id(at, 0x400 + self._count, self.number)
        label, name, channel = actor
        when = stamp(at)
        said = (
            f'{{"actor":"{label}","actor_name":"{name}","at":"{when.replace(" ", "T")}+00:00","channel":"{channel}",'
            f'"network":null,"payload":{quoted(payload)},"previous":"{self._previous}","request_id":null,'
            f'"revision":{revision or "null"},"schema_version":1,"sequence":{self._count},"stream":"{self.stream}",'
            f'"type":"{kind}"}}'
        )
        previous, self._previous = self._previous, hashlib.sha256(said.encode()).hexdigest()
        place = (event, self.stream, self._count, kind, 1, label, name, channel, revision, when)
        self._rows["event"].append((*place, payload, previous, self._previous))
        return event
