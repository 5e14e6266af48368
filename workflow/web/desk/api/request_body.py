"""The body of an application: its shape is checked here, its values by the rules (`domain.terms`), which say what to do.

That is why members may hold anything, and why the documented schema stands beside them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from workflow.domain.terms import MAX_COUNT, MAX_NOTE, MAX_REFERENCE, EnvironmentName, LicenseKind, RequestType

EXAMPLE: dict[str, Any] = {
    "tenant_id": "T-20817",
    "environment": "PROD",
    "request": "new",
    "kind": "standard",
    "modules": ["agent-studio", "knowledge-base"],
    "model_types": ["chat", "embedding"],
    "restrictions": ["internal-use"],
    "limits": {"agents": 120, "users": 800},
    "validity": {"first_day": "2026-12-01", "last_day": "2027-11-30", "time_zone": "Asia/Shanghai"},
    "recipients": ["wei.zhang@harbourline.example"],
    "contract_reference": "C-2026-77",
    "note": "Order PO-88213, go-live on 1 December.",
}

_TEXT = {"type": "string"}
_CODES = {"type": "array", "items": _TEXT, "uniqueItems": True}
_DAY = {"type": "string", "format": "date", "examples": ["2026-12-01"]}
_COUNT = {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}

Text = Annotated[Any, WithJsonSchema(_TEXT)]
Codes = Annotated[Any, WithJsonSchema(_CODES)]
Day = Annotated[Any, WithJsonSchema(_DAY)]
Count = Annotated[Any, WithJsonSchema(_COUNT)]


class Strict(BaseModel):
    """A body in which a misspelled member is refused instead of ignored."""

    model_config = ConfigDict(extra="forbid")


class LimitsBody(Strict):
    """How much may be used at a time."""

    agents: Count = None
    users: Count = None


class ValidityBody(Strict):
    """Both days are usable, in that time zone."""

    first_day: Day = None
    last_day: Day = None
    time_zone: Annotated[Any, WithJsonSchema({**_TEXT, "examples": ["Asia/Shanghai"]})] = None


class ApplicationBody(Strict):
    """What is applied for. Codes of modules, model types and restrictions are those of `GET /catalogue`."""

    model_config = ConfigDict(
        json_schema_extra={
            "required": ["tenant_id", "environment", "modules", "model_types", "limits", "validity", "recipients"],
            "examples": [EXAMPLE],
        }
    )

    tenant_id: Text = None
    environment: Annotated[Any, WithJsonSchema({"enum": list(EnvironmentName)})] = None
    label: Annotated[Any, WithJsonSchema({**_TEXT, "description": "Tells two platforms of one kind apart."})] = None
    request: Annotated[Any, WithJsonSchema({"enum": list(RequestType), "default": "new"})] = None
    kind: Annotated[Any, WithJsonSchema({"enum": list(LicenseKind), "default": "standard"})] = None
    modules: Codes = None
    model_types: Codes = None
    restrictions: Codes = None
    limits: LimitsBody = Field(default_factory=LimitsBody)
    validity: ValidityBody = Field(default_factory=ValidityBody)
    recipients: Annotated[
        Any, WithJsonSchema({**_CODES, "minItems": 1, "description": "Addresses of the customer's recipients."})
    ] = None
    contract_reference: Annotated[Any, WithJsonSchema({**_TEXT, "maxLength": MAX_REFERENCE})] = None
    note: Annotated[Any, WithJsonSchema({**_TEXT, "maxLength": MAX_NOTE, "description": "For the approvers."})] = None

    def stated(self) -> dict[str, Any]:
        """What was sent, in the shape the rules read."""
        return self.model_dump(exclude_unset=True)
