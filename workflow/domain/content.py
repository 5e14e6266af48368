"""The content of a revision: what was asked for, with everything that goes into the file besides, frozen word for word.

Whatever could change between the approval and the signature (the company's name, the wording of a restriction, the contact)
is in here, so that what is signed is what was approved.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from types import MappingProxyType
from typing import Any

from workflow.domain.terms import EnvironmentName, LicenseKind, LicenseRequest, LicenseTerms, NamedDefaults, RequestType

TERM_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "max_agents": "Maximum agents",
        "authorized_users": "Authorized users",
        "modules": "Modules",
        "model_types": "Model types",
        "restrictions": "Usage restrictions",
        "validity": "Validity",
        "time_zone": "Time zone",
        "kind": "Kind",
        "environment": "Environment",
        "request": "Type",
        "recipients": "Recipients",
        "contract_reference": "Contract or order number",
        "note": "Note",
    }
)
"""What people call the answers that `changes` and `request_changes` tell of."""


@dataclass(frozen=True)
class StatedRestriction:
    """A usage restriction with the words it had when it was applied for."""

    code: str
    text: str


@dataclass(frozen=True)
class ApplicationContent:
    """Everything approvers see and the signer signs."""

    license_id: str
    company: str
    request: LicenseRequest
    restrictions: tuple[StatedRestriction, ...]
    defaults: NamedDefaults

    @property
    def terms(self) -> LicenseTerms:
        """The licensed content the liaison chose."""
        return self.request.terms


def content_document(content: ApplicationContent) -> dict[str, Any]:
    """The content as plain values, as it is stored and digested."""
    return {
        "license_id": content.license_id,
        "company": content.company,
        "request": request_document(content.request),
        "restrictions": [asdict(each) for each in content.restrictions],
        "defaults": asdict(content.defaults),
    }


def request_document(request: LicenseRequest) -> dict[str, Any]:
    """A request in the shape that `terms.read_request` reads."""
    terms = request.terms
    return {
        "tenant_id": request.tenant_id,
        "environment": request.environment.value,
        "label": request.label,
        "request": request.request.value,
        "kind": terms.kind.value,
        "modules": list(terms.modules),
        "model_types": list(terms.model_types),
        "restrictions": list(terms.restrictions),
        "limits": {"agents": terms.max_agents, "users": terms.authorized_users},
        "validity": {
            "first_day": terms.first_day.isoformat(),
            "last_day": terms.last_day.isoformat(),
            "time_zone": terms.time_zone,
        },
        "recipients": list(request.recipients),
        "contract_reference": request.contract_reference,
        "note": request.note,
    }


def content_from(document: Mapping[str, Any]) -> ApplicationContent:
    """Reads a stored content document. It was checked when it was written, so anything unexpected is a KeyError or
    ValueError of a damaged database."""
    request = document["request"]
    return ApplicationContent(
        license_id=document["license_id"],
        company=document["company"],
        request=LicenseRequest(
            tenant_id=request["tenant_id"],
            environment=EnvironmentName(request["environment"]),
            label=request["label"],
            request=RequestType(request["request"]),
            terms=LicenseTerms(
                modules=tuple(request["modules"]),
                model_types=tuple(request["model_types"]),
                restrictions=tuple(request["restrictions"]),
                max_agents=request["limits"]["agents"],
                authorized_users=request["limits"]["users"],
                first_day=date.fromisoformat(request["validity"]["first_day"]),
                last_day=date.fromisoformat(request["validity"]["last_day"]),
                time_zone=request["validity"]["time_zone"],
                kind=LicenseKind(request["kind"]),
            ),
            recipients=tuple(request["recipients"]),
            contract_reference=request["contract_reference"],
            note=request["note"],
        ),
        restrictions=tuple(StatedRestriction(**each) for each in document["restrictions"]),
        defaults=NamedDefaults(**document["defaults"]),
    )


def same_but_for_the_note(one: ApplicationContent, other: ApplicationContent) -> bool:
    """Whether approvers would decide on the same: everything but the note to them is equal, the recipients too."""
    return replace(one, request=replace(one.request, note=other.request.note)) == other


@dataclass(frozen=True)
class TermChange:
    """One answer that differs from an earlier one. `loses` marks what stops working or shrinks."""

    term: str
    old: str
    new: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    delta: int | None = None
    loses: bool = False


def changes(old: LicenseTerms, new: LicenseTerms) -> tuple[TermChange, ...]:
    """What `new` changes against `old`, term by term, in the order people read them. Codes are not yet names."""
    found: list[TermChange] = []
    for term, before, after in (
        ("max_agents", old.max_agents, new.max_agents),
        ("authorized_users", old.authorized_users, new.authorized_users),
    ):
        if before != after:
            found.append(TermChange(term, str(before), str(after), delta=after - before, loses=after < before))
    for term, had, has in (
        ("modules", old.modules, new.modules),
        ("model_types", old.model_types, new.model_types),
    ):
        removed = tuple(each for each in had if each not in has)
        added = tuple(each for each in has if each not in had)
        if added or removed:
            found.append(TermChange(term, str(len(had)), str(len(has)), added, removed, loses=bool(removed)))
    added = tuple(each for each in new.restrictions if each not in old.restrictions)
    removed = tuple(each for each in old.restrictions if each not in new.restrictions)
    if added or removed:
        found.append(
            TermChange(
                "restrictions", str(len(old.restrictions)), str(len(new.restrictions)), added, removed, loses=bool(added)
            )
        )
    if (old.first_day, old.last_day) != (new.first_day, new.last_day):
        found.append(
            TermChange(
                "validity",
                f"{old.first_day.isoformat()}/{old.last_day.isoformat()}",
                f"{new.first_day.isoformat()}/{new.last_day.isoformat()}",
                delta=(new.last_day - old.last_day).days,
                loses=new.last_day < old.last_day,
            )
        )
    if old.time_zone != new.time_zone:
        found.append(TermChange("time_zone", old.time_zone, new.time_zone))
    if old.kind is not new.kind:
        found.append(TermChange("kind", old.kind.value, new.kind.value))
    return tuple(found)


def request_changes(old: LicenseRequest, new: LicenseRequest) -> tuple[TermChange, ...]:
    """What a revision answers differently from an earlier one: the terms first, then whom it is for and why.

    Against an earlier wish nothing is taken from anybody, so nothing `loses`.
    """
    found = [replace(each, loses=False) for each in changes(old.terms, new.terms)]
    for term, before, after in (
        ("environment", f"{old.environment} {old.label}".rstrip(), f"{new.environment} {new.label}".rstrip()),
        ("request", old.request.value, new.request.value),
    ):
        if before != after:
            found.append(TermChange(term, before, after))
    if set(old.recipients) != set(new.recipients):
        removed = tuple(each for each in old.recipients if each not in new.recipients)
        added = tuple(each for each in new.recipients if each not in old.recipients)
        found.append(TermChange("recipients", str(len(old.recipients)), str(len(new.recipients)), added, removed))
    for term, before, after in (
        ("contract_reference", old.contract_reference, new.contract_reference),
        ("note", old.note, new.note),
    ):
        if before != after:
            found.append(TermChange(term, before, after))
    return tuple(found)
