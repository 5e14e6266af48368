"""What is applied for: the terms of a license as a liaison states them, and the checks they must pass.

`read_request` turns what a form, an API call or a TOML file holds (plain strings, numbers and lists) into a
`LicenseRequest`, or raises `TermsRefused` with one problem per field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from workflow.domain.catalogue import Catalogue, Entry
from workflow.errors import Invalid, Problem

MAX_NOTE = 2_000
MAX_REFERENCE = 100
MAX_ADDRESS = 254
MAX_COUNT = 1_000_000


class EnvironmentName(StrEnum):
    """Where the platform runs; each has its own issuer keys."""

    DEV = "DEV"
    UAT = "UAT"
    PROD = "PROD"


class RequestType(StrEnum):
    """What an application is for."""

    NEW = "new"
    RENEWAL = "renewal"
    CHANGE = "change"


class LicenseKind(StrEnum):
    """How a license is meant; trials and extensions are short."""

    STANDARD = "standard"
    TRIAL = "trial"
    EXTENSION = "extension"


LONGEST_DAYS: Mapping[EnvironmentName, int] = {
    EnvironmentName.DEV: 366,
    EnvironmentName.UAT: 366,
    EnvironmentName.PROD: 3 * 366,
}
ON_EXPIRY_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "warn": "People are warned, nothing stops",
        "block_new": "What exists goes on, nothing new can be started",
        "read_only": "People can only read",
    }
)
"""What happens after the end and its grace, as people read it."""
LONGEST_KIND_DAYS: Mapping[LicenseKind, int] = {LicenseKind.TRIAL: 60, LicenseKind.EXTENSION: 31}


class TermsRefused(Invalid):
    """One or more answers of an application cannot be used."""

    code = "application.terms_refused"


@dataclass(frozen=True)
class LicenseTerms:
    """The licensed content a liaison chooses. Days are calendar days in `time_zone`; both count as usable."""

    modules: tuple[str, ...]
    model_types: tuple[str, ...]
    restrictions: tuple[str, ...]
    max_agents: int
    authorized_users: int
    first_day: date
    last_day: date
    time_zone: str
    kind: LicenseKind

    @property
    def days(self) -> int:
        """How many days the license can be used."""
        return (self.last_day - self.first_day).days + 1

    @property
    def valid_from(self) -> datetime:
        """The first instant in force: midnight at the start of the first day."""
        return start_of_day(self.first_day, self.time_zone)

    @property
    def valid_until(self) -> datetime:
        """The exclusive end: midnight after the last usable day."""
        return start_of_day(self.last_day + timedelta(days=1), self.time_zone)


@dataclass(frozen=True)
class NamedDefaults:
    """Members of the license that nobody types in, but that every approver sees."""

    grace_days: int
    on_expiry: str
    count_users: str
    count_agents: str
    over_limit: str
    contact_name: str
    contact_url: str
    contact_mailbox: str
    contact_phone: str


@dataclass(frozen=True)
class LicenseRequest:
    """A whole application as stated: for whom, what, to whom it is sent, and why."""

    tenant_id: str
    environment: EnvironmentName
    label: str
    request: RequestType
    terms: LicenseTerms
    recipients: tuple[str, ...]
    contract_reference: str
    note: str


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"localtime", "Factory"})


def is_time_zone(name: object) -> bool:
    """Whether this is a name of the time zone database that means the same on every machine.

    Machines know more: "localtime", "posixrules", and the "right/" zones, in which a day has leap seconds.
    """
    return isinstance(name, str) and name in _time_zones()


def start_of_day(day: date, time_zone: str) -> datetime:
    """Midnight of `day` in `time_zone`, as aware UTC."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)


def day_in(time_zone: str, at: datetime) -> date:
    """The calendar day that an instant falls on in `time_zone`."""
    return at.astimezone(ZoneInfo(time_zone)).date()


def last_usable_day(valid_until: datetime, time_zone: str) -> date:
    """The last calendar day with a usable instant before the exclusive end."""
    return day_in(time_zone, valid_until - timedelta(microseconds=1))


def read_request(raw: Mapping[str, Any], catalogue: Catalogue) -> LicenseRequest:
    """The request stated in `raw` (its shape: examples/applications). Raises TermsRefused naming every bad field, and a
    validity that its environment or kind does not allow."""
    form = _Form(raw)
    tenant_id = form.text("tenant_id", "Enter the tenant ID, for example T-20817.", longest=64)
    environment = form.choice("environment", EnvironmentName, "Choose DEV, UAT or PROD.")
    request = form.choice("request", RequestType, "Say whether this is new, a renewal or a change.", RequestType.NEW)
    kind = form.choice("kind", LicenseKind, "Choose standard, trial or extension.", LicenseKind.STANDARD)
    modules = form.codes("modules", catalogue.modules, "Choose at least one module.")
    model_types = form.codes("model_types", catalogue.model_types, "Choose at least one model type.")
    restrictions = form.codes("restrictions", catalogue.restrictions, None)
    agents = form.count("limits.agents", "Maximum agents")
    users = form.count("limits.users", "Authorized users")
    time_zone = form.zone("validity.time_zone")
    first_day = form.day("validity.first_day", "Enter the first day, for example 2027-01-01.")
    last_day = form.day("validity.last_day", "Enter the last day, for example 2027-12-31.")
    if first_day and last_day and last_day < first_day:
        form.refuse("validity.last_day", "before_first_day", f"The last day must be on or after {first_day:%-d %b %Y}.")
    elif first_day and last_day and not form.problems.keys() & {"environment", "kind", "validity.first_day"}:
        form.add(_too_long(environment, kind, (last_day - first_day).days + 1))
    recipients = form.texts("recipients", "Choose at least one recipient of the license file.")
    label = form.optional_text("label", 40)
    contract_reference = form.optional_text("contract_reference", MAX_REFERENCE)
    note = form.optional_text("note", MAX_NOTE)
    form.raise_problems()
    assert first_day is not None
    assert last_day is not None
    terms = LicenseTerms(
        modules=modules,
        model_types=model_types,
        restrictions=restrictions,
        max_agents=agents,
        authorized_users=users,
        first_day=first_day,
        last_day=last_day,
        time_zone=time_zone,
        kind=kind,
    )
    return LicenseRequest(tenant_id, environment, label, request, terms, recipients, contract_reference, note)


def longest_days(environment: EnvironmentName, kind: LicenseKind) -> int:
    """How many days a license of this kind may run there."""
    return min(LONGEST_DAYS[environment], LONGEST_KIND_DAYS.get(kind, LONGEST_DAYS[environment]))


def already_over(request: LicenseRequest, today: date) -> list[Problem]:
    """The problem of a license whose last day has passed; none when it has not."""
    if request.terms.last_day >= today:
        return []
    return [Problem("validity.last_day", "in_the_past", "The last day has passed. Choose a day from today on.")]


def _too_long(environment: EnvironmentName, kind: LicenseKind, days: int) -> list[Problem]:
    longest = longest_days(environment, kind)
    if days <= longest:
        return []
    what = f"{environment} licenses" if kind is LicenseKind.STANDARD else f"A {kind} license"
    said = f"{what} can run for {longest} days at most; this one has {days}. Choose an earlier last day."
    return [Problem("validity.last_day", "too_long", said)]


def refused(problems: list[Problem]) -> TermsRefused:
    """A TermsRefused that counts its problems."""
    count = "1 answer needs" if len(problems) == 1 else f"{len(problems)} answers need"
    return TermsRefused(f"{count} fixing. Nothing was submitted.", problems)


class _Form:
    """Reads dotted fields out of nested mappings and collects one problem per field."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw
        self.problems: dict[str, Problem] = {}

    def refuse(self, field: str, code: str, message: str) -> None:
        self.problems.setdefault(field, Problem(field, code, message))

    def add(self, problems: list[Problem]) -> None:
        for each in problems:
            self.problems.setdefault(each.field, each)

    def raise_problems(self) -> None:
        if self.problems:
            raise refused(list(self.problems.values()))

    def get(self, field: str) -> Any:
        value: Any = self.raw
        for part in field.split("."):
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return value.strip() if isinstance(value, str) else value

    def text(self, field: str, missing: str, longest: int) -> str:
        value = self.get(field)
        if not isinstance(value, str) or not value:
            self.refuse(field, "missing", missing)
            return ""
        return self._clean(field, value, longest)

    def optional_text(self, field: str, longest: int) -> str:
        value = self.get(field)
        if value is None or value == "":
            return ""
        if not isinstance(value, str):
            self.refuse(field, "wrong_type", "Write this as text.")
            return ""
        return self._clean(field, value.replace("\r\n", "\n"), longest)

    def _clean(self, field: str, value: str, longest: int) -> str:
        if len(value) > longest:
            self.refuse(field, "too_long", f"Use at most {longest} characters; this has {len(value)}.")
        if not all(_can_be_kept(c) for c in value):
            self.refuse(field, "control_character", "Remove the control characters from this text.")
        return value

    def texts(self, field: str, missing: str) -> tuple[str, ...]:
        value = self.get(field)
        values = [value] if isinstance(value, str) and value else value
        if not isinstance(values, list | tuple) or not values:
            self.refuse(field, "missing", missing)
            return ()
        if not all(isinstance(each, str) and each.strip() for each in values):
            self.refuse(field, "wrong_type", "Write each entry as text.")
            return ()
        return tuple(dict.fromkeys(self._clean(field, each.strip(), MAX_ADDRESS) for each in values))

    def choice(self, field: str, kind: type[Any], message: str, default: Any = None) -> Any:
        value = self.get(field)
        if value in (None, "") and default is not None:
            return default
        try:
            return kind(value)
        except ValueError:
            self.refuse(field, "unknown" if value else "missing", message)
            return None

    def codes(self, field: str, known: tuple[Entry, ...], missing: str | None) -> tuple[str, ...]:
        value = self.get(field)
        values = [value] if isinstance(value, str) and value else (value or [])
        if not isinstance(values, list | tuple):
            self.refuse(field, "wrong_type", "Write this as a list of codes.")
            return ()
        if not values and missing:
            self.refuse(field, "missing", missing)
        codes = {entry.code for entry in known}
        for each in values:
            if not isinstance(each, str) or each not in codes:
                self.refuse(
                    field, "unknown", f"{str(each)[:60]!r} is not in the catalogue. Choose from {', '.join(sorted(codes))}."
                )
        chosen = set(map(str, values))
        return tuple(entry.code for entry in known if entry.code in chosen)  # the catalogue's order: stable digests

    def count(self, field: str, name: str) -> int:
        value = self.get(field)
        if value in (None, ""):
            self.refuse(field, "missing", f"Enter a number for {name.lower()}.")
            return 0
        try:
            number = int(value.replace(",", "") if isinstance(value, str) else value)
            if isinstance(value, bool) or (isinstance(value, float) and value != number):
                raise ValueError
        except (TypeError, ValueError, OverflowError):  # the last one is TOML's and JSON's infinity
            self.refuse(field, "not_a_number", f"{name} must be a whole number, for example 120.")
            return 0
        if not 1 <= number <= MAX_COUNT:
            self.refuse(field, "out_of_range", f"{name} must be from 1 to {MAX_COUNT:,}.")
        return number

    def day(self, field: str, missing: str) -> date | None:
        value = self.get(field)
        if value in (None, ""):
            self.refuse(field, "missing", missing)
            return None
        try:
            # TOML has dates of its own; one with a time is not a day.
            day = value if type(value) is date else date.fromisoformat(value)
        except (TypeError, ValueError):
            self.refuse(field, "not_a_date", "Write the day as year-month-day, for example 2027-03-31.")
            return None
        if not 2000 <= day.year <= 2100:
            self.refuse(field, "out_of_range", "Use a year from 2000 to 2100.")
        return day

    def zone(self, field: str) -> str:
        value = self.get(field)
        if value in (None, ""):
            self.refuse(field, "missing", "Choose the time zone, for example Asia/Shanghai.")
            return ""
        if not is_time_zone(value):
            self.refuse(field, "unknown", "Use a time zone name such as Asia/Shanghai or Europe/Berlin.")
        return str(value)


def _can_be_kept(character: str) -> bool:
    """Not a control character other than line end and tab, nor half of a surrogate pair: no database stores those."""
    point = ord(character)
    return (point >= 32 or character in "\n\t") and not 0x7F <= point < 0xA0 and not 0xD800 <= point < 0xE000
