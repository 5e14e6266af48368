"""What tests start from: an application's answers, and the desk's own settings."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from workflow.domain.catalogue import Catalogue
from workflow.services.desk import Desk, desk_from
from workflow.settings import Database

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
DESK: Desk = desk_from(Database())
CATALOGUE: Catalogue = DESK.catalogue

ANSWERS: dict[str, Any] = {
    "tenant_id": "T-20817",
    "environment": "PROD",
    "label": "",
    "request": "new",
    "kind": "standard",
    "modules": ["agent-studio", "knowledge-base"],
    "model_types": ["chat", "embedding"],
    "restrictions": ["internal-use"],
    "limits": {"agents": 120, "users": 800},
    "validity": {"first_day": "2026-11-02", "last_day": "2027-10-31", "time_zone": "Asia/Shanghai"},
    "recipients": ["wei.zhang@harbourline.example"],
    "contract_reference": "C-2026-77",
    "note": "Order PO-88213.",
}


def answers(**changes: Any) -> dict[str, Any]:
    """An application's answers; `limits__agents=5` changes a nested one, and None takes one away."""
    made = deepcopy(ANSWERS)
    for name, value in changes.items():
        place, *path = made, *name.split("__")
        for part in path[:-1]:
            place = place[part]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value
    return made
