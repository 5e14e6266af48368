"""The canonical form of a policy and its digest: what is kept with every application, so that it can be proved later which
rules it was decided under. Comments, layout and the order of anything in the file make no difference.
"""

import hashlib
import json
from dataclasses import fields, is_dataclass
from datetime import date, time
from typing import Any

from workflow.domain.policy.calendar import BusinessTime
from workflow.domain.policy.values import Policy

SCHEMA = 1


def canonical_form(policy: Policy) -> bytes:
    """The policy as JSON with sorted names and lists, no spaces, UTF-8. Nothing in a policy depends on an order."""
    said = _plain(policy)
    if not policy.delivery:
        del said["delivery"]  # a policy that says nothing of it has the digest it had before there was such a table
    return _json({"schema": SCHEMA, **said}).encode()


def policy_sha256(policy: Policy) -> str:
    """SHA-256 (hex) of the canonical form."""
    return hashlib.sha256(canonical_form(policy)).hexdigest()


def _plain(value: Any) -> Any:
    """Plain values of a value. What is not compared (a line, a file name) is no part of the policy."""
    if isinstance(value, BusinessTime | date | time):
        return str(value)
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.compare}
    if isinstance(value, frozenset | tuple):
        return sorted((_plain(each) for each in value), key=_json)
    return value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
