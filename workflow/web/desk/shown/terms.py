"""License terms in the words of the interface: rows of what is asked for, and what changes against the one in force."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from workflow.domain.catalogue import Catalogue
from workflow.domain.content import TERM_NAMES, ApplicationContent, TermChange, changes, request_changes
from workflow.domain.terms import ON_EXPIRY_WORDS, LicenseTerms
from workflow.templating import day, number
from workflow.web.desk.shown.states import REQUEST_WORDS

KIND_WORDS: Mapping[str, str] = MappingProxyType({"standard": "Standard", "trial": "Trial", "extension": "Extension"})
COUNT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "named": "everyone who is authorized counts",
        "active_30d": "whoever was active in the last 30 days counts",
        "concurrent": "those in use at the same time count",
        "total": "all that exist count",
    }
)
OVER_WORDS: Mapping[str, str] = MappingProxyType(
    {"warn": "people are warned", "block_new": "what exists goes on, nothing more can be added"}
)


def period(first: date, last: date) -> str:
    """24 Nov 2026 to 6 Dec 2027"""
    return f"{day(first)} to {day(last)}"


def days_word(count: int) -> str:
    """1 day, 378 days"""
    return "1 day" if count == 1 else f"{number(count)} days"


def zone_words(zone: str) -> str:
    """Asia/Shanghai is a name people know; UTC speaks for itself."""
    return zone.replace("_", " ")


@dataclass(frozen=True)
class ShownTerms:
    """All terms of one application or license, ready to print."""

    license_id: str
    company: str
    tenant_id: str
    environment: str
    label: str
    request: str
    kind: str
    validity: str
    days: str
    last_usable_day: str
    agents: int
    users: int
    modules: tuple[str, ...]
    model_types: tuple[str, ...]
    restrictions: tuple[tuple[str, str], ...]
    recipients: tuple[str, ...]
    contract_reference: str
    note: str
    grace: str
    on_expiry: str
    counting: str
    contact: str


def shown_terms(content: ApplicationContent, catalogue: Catalogue) -> ShownTerms:
    """Everything an approver must see before the signature: the answers and the named defaults."""
    request, terms, defaults = content.request, content.terms, content.defaults
    contact = ", ".join(
        part for part in (defaults.contact_name, defaults.contact_url, defaults.contact_mailbox, defaults.contact_phone) if part
    )
    return ShownTerms(
        license_id=content.license_id,
        company=content.company,
        tenant_id=request.tenant_id,
        environment=request.environment.value,
        label=request.label,
        request=request.request.value,
        kind=KIND_WORDS[terms.kind.value],
        validity=period(terms.first_day, terms.last_day),
        days=days_word(terms.days),
        last_usable_day=f"Last usable day {day(terms.last_day)}, {zone_words(terms.time_zone)}",
        agents=terms.max_agents,
        users=terms.authorized_users,
        modules=tuple(catalogue.name_of(code) for code in terms.modules),
        model_types=tuple(catalogue.name_of(code) for code in terms.model_types),
        restrictions=tuple((catalogue.name_of(each.code), each.text) for each in content.restrictions),
        recipients=request.recipients,
        contract_reference=request.contract_reference,
        note=request.note,
        grace=f"{days_word(defaults.grace_days)} after the last usable day in which nothing stops",
        on_expiry=ON_EXPIRY_WORDS[defaults.on_expiry],
        counting=(
            f"Users: {COUNT_WORDS[defaults.count_users]}. Agents: {COUNT_WORDS[defaults.count_agents]}. "
            f"At a limit: {OVER_WORDS[defaults.over_limit]}."
        ),
        contact=contact,
    )


@dataclass(frozen=True)
class ShownChange:
    """One row of "What changes"."""

    term: str
    label: str
    old: str
    new: str
    delta: str = ""
    direction: str = "chg"
    icon: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    loses: bool = False


@dataclass(frozen=True)
class ShownDifference:
    """What differs from the license in force (losses first), and what stays the same."""

    changed: tuple[ShownChange, ...]
    same: tuple[tuple[str, str], ...]

    def of(self, term: str) -> ShownChange | None:
        """The change of one term, if it changes."""
        return next((each for each in self.changed if each.term == term), None)


def shown_difference(old: LicenseTerms, new: LicenseTerms, catalogue: Catalogue) -> ShownDifference:
    """The difference between two sets of terms."""
    found = changes(old, new)
    shown = tuple(_shown_change(each, old, new, catalogue) for each in found)
    untouched = {each.term for each in found}
    same = tuple((TERM_NAMES[term], text) for term, text in _texts(new, catalogue).items() if term not in untouched)
    return ShownDifference(shown, same)


def shown_revision(old: ApplicationContent, new: ApplicationContent, catalogue: Catalogue) -> tuple[ShownChange, ...]:
    """What a new revision answers differently from an earlier one: terms, recipients, reference and note."""
    return tuple(_shown_change(each, old.terms, new.terms, catalogue) for each in request_changes(old.request, new.request))


def _shown_change(change: TermChange, old: LicenseTerms, new: LicenseTerms, catalogue: Catalogue) -> ShownChange:
    label = TERM_NAMES[change.term]
    match change.term:
        case "max_agents" | "authorized_users":
            assert change.delta is not None
            had = int(change.old)
            share = f" ({round(abs(change.delta) * 100 / had)}%)" if had else ""
            grows = change.delta > 0
            return ShownChange(
                change.term,
                label,
                number(had),
                number(int(change.new)),
                f"{'+' if grows else '−'}{number(abs(change.delta))}{share}",
                "up" if grows else "down",
                "trending-up" if grows else "trending-down",
                loses=change.loses,
            )
        case "modules" | "model_types" | "restrictions":
            noun = {"modules": "module", "model_types": "type", "restrictions": "restriction"}[change.term]
            return ShownChange(
                change.term,
                label,
                _counted(int(change.old), noun),
                _counted(int(change.new), noun),
                added=tuple(catalogue.name_of(code) for code in change.added),
                removed=tuple(catalogue.name_of(code) for code in change.removed),
                loses=change.loses,
            )
        case "recipients":
            before, after = (_counted(int(each), "recipient") for each in (change.old, change.new))
            return ShownChange(change.term, label, before, after, added=change.added, removed=change.removed)
        case "request":
            return ShownChange(change.term, label, REQUEST_WORDS[change.old], REQUEST_WORDS[change.new])
        case "environment" | "contract_reference" | "note":
            return ShownChange(change.term, label, change.old or "None", change.new or "None")
        case "validity":
            return ShownChange(
                change.term,
                label,
                period(old.first_day, old.last_day),
                period(new.first_day, new.last_day),
                _end_moved((new.last_day - old.last_day).days),
                "down" if change.loses else "chg",
                "calendar",
                loses=change.loses,
            )
        case _:
            texts = (_texts(old, catalogue)[change.term], _texts(new, catalogue)[change.term])
            return ShownChange(change.term, label, *texts, loses=change.loses)


def _texts(terms: LicenseTerms, catalogue: Catalogue) -> dict[str, str]:
    def names(codes: tuple[str, ...]) -> str:
        return ", ".join(catalogue.name_of(code) for code in codes) or "None"

    return {
        "max_agents": number(terms.max_agents),
        "authorized_users": number(terms.authorized_users),
        "modules": names(terms.modules),
        "model_types": names(terms.model_types),
        "restrictions": names(terms.restrictions),
        "validity": period(terms.first_day, terms.last_day),
        "time_zone": zone_words(terms.time_zone),
        "kind": KIND_WORDS[terms.kind.value],
    }


def _end_moved(days: int) -> str:
    if days == 0:
        return "same last day"
    return f"ends {days_word(abs(days))} {'later' if days > 0 else 'earlier'}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
