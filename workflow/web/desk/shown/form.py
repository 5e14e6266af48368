"""The application form: what it sends as the plain values `terms.read_request` reads, and back again."""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any

from workflow.domain.catalogue import Catalogue
from workflow.domain.terms import EnvironmentName
from workflow.errors import Problem
from workflow.web.shared.forms import PostedForm

DURATIONS: Mapping[str, int] = MappingProxyType({"3m": 3, "6m": 6, "1y": 12})
"""Months each pill of the validity period stands for; "dates" means: as typed."""

COMMON_ZONES = (
    "Asia/Shanghai",
    "Asia/Hong_Kong",
    "Asia/Taipei",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Asia/Seoul",
    "Asia/Kolkata",
    "Asia/Dubai",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/London",
    "America/Sao_Paulo",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "UTC",
)

ENVIRONMENT_CHOICES = (("", "All environments"), *((name.value, name.value) for name in EnvironmentName))
"""What lists can be narrowed to."""


@dataclass(frozen=True)
class EnvironmentChoice:
    """One platform of the customer, as the form offers it. Its License ID is the value: short, unique, no blanks."""

    value: str
    name: str
    label: str
    in_force: str = ""


@dataclass(frozen=True)
class FormValues:
    """The answers as they were typed, for the fields of the form."""

    tenant_id: str = ""
    environment: str = ""
    label: str = ""
    request: str = "new"
    kind: str = "standard"
    modules: frozenset[str] = frozenset()
    model_types: frozenset[str] = frozenset()
    restrictions: frozenset[str] = frozenset()
    agents: str = ""
    users: str = ""
    first_day: str = ""
    last_day: str = ""
    time_zone: str = ""
    recipients: frozenset[str] = frozenset()
    contract_reference: str = ""
    note: str = ""

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "FormValues":
        """The values in a stored draft, whatever is missing or odd in it."""
        limits, validity = _inner(raw, "limits"), _inner(raw, "validity")
        return cls(
            tenant_id=_text(raw.get("tenant_id")),
            environment=_text(raw.get("environment")),
            label=_text(raw.get("label")),
            request=_text(raw.get("request")) or "new",
            kind=_text(raw.get("kind")) or "standard",
            modules=_texts(raw.get("modules")),
            model_types=_texts(raw.get("model_types")),
            restrictions=_texts(raw.get("restrictions")),
            agents=_text(limits.get("agents")),
            users=_text(limits.get("users")),
            first_day=_text(validity.get("first_day")),
            last_day=_text(validity.get("last_day")),
            time_zone=_text(validity.get("time_zone")),
            recipients=_texts(raw.get("recipients")),
            contract_reference=_text(raw.get("contract_reference")),
            note=_text(raw.get("note")),
        )

    def raw(self) -> dict[str, Any]:
        """The answers in the shape of `terms.read_request`."""
        return {
            "tenant_id": self.tenant_id,
            "environment": self.environment,
            "label": self.label,
            "request": self.request,
            "kind": self.kind,
            "modules": sorted(self.modules),
            "model_types": sorted(self.model_types),
            "restrictions": sorted(self.restrictions),
            "limits": {"agents": self.agents, "users": self.users},
            "validity": {"first_day": self.first_day, "last_day": self.last_day, "time_zone": self.time_zone},
            "recipients": sorted(self.recipients),
            "contract_reference": self.contract_reference,
            "note": self.note,
        }

    def chose(self, choice: EnvironmentChoice) -> bool:
        """Whether this environment is the chosen one."""
        return (self.environment, self.label) == (choice.name, choice.label)


def raw_from(form: PostedForm, tenant_id: str, environments: Sequence[EnvironmentChoice]) -> dict[str, Any]:
    """What the form says, in the shape of `terms.read_request`. Nothing is checked here but the shape."""
    chosen = next((each for each in environments if each.value == form.text("environment")), None)
    first_day, last_day = form.text("first_day"), form.text("last_day")
    months = DURATIONS.get(form.text("duration"))
    if months is not None:
        last_day = last_day_after(first_day, months) or last_day
    return {
        "tenant_id": tenant_id,
        "environment": chosen.name if chosen else "",
        "label": chosen.label if chosen else "",
        "request": form.text("request"),
        "kind": form.text("kind"),
        "modules": list(form.many("modules")),
        "model_types": list(form.many("model_types")),
        "restrictions": list(form.many("restrictions")),
        "limits": {"agents": form.text("agents"), "users": form.text("users")},
        "validity": {"first_day": first_day, "last_day": last_day, "time_zone": form.text("time_zone")},
        "recipients": list(form.many("recipients")),
        "contract_reference": form.text("contract_reference"),
        "note": form.text("note"),
    }


def last_day_after(first_day: str, months: int) -> str:
    """The last usable day of a period of whole months: 2027-01-15 and 3 give 2027-04-14. Empty when it is no day."""
    try:
        first = date.fromisoformat(first_day)
    except ValueError:
        return ""
    month = first.month - 1 + months
    year, month = first.year + month // 12, month % 12 + 1
    same_day = date(year, month, min(first.day, calendar.monthrange(year, month)[1]))
    return (same_day - timedelta(days=1)).isoformat()


def summary_links(
    problems: Sequence[Problem],
    catalogue: Catalogue,
    environments: Sequence[EnvironmentChoice],
    recipients: Sequence[str],
) -> list[tuple[str, str]]:
    """For each problem the id of the input it is about and its sentence: a link must land where one can type."""
    first_of = {
        "modules": f"modules-{catalogue.modules[0].code}",
        "model_types": f"model_types-{catalogue.model_types[0].code}",
        "restrictions": f"restrictions-{catalogue.restrictions[0].code}" if catalogue.restrictions else "",
        "environment": f"environment-{environments[0].value}" if environments else "",
        "label": f"environment-{environments[0].value}" if environments else "",
        "recipients": f"recipients-{recipients[0]}" if recipients else "",
        "request": "request-new",
        "kind": "kind-standard",
        "tenant_id": "",
    }
    return [(first_of.get(each.field, each.field.rsplit(".", 1)[-1]), each.message) for each in problems]


def _inner(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _texts(value: Any) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset({value})
    return frozenset(map(str, value)) if isinstance(value, list | tuple) else frozenset()
