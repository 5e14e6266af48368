"""An application as a TOML file: days may be relative, and the customer and recipients may come along."""

import json
import re
import tomllib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from workflow.errors import Invalid, Problem

_RELATIVE = re.compile(r"\+(\d{1,5})d")


class FileUnusable(Invalid):
    """The file is not what `licdesk apply` takes. The sentence names the place."""

    code = "application_file.unusable"


@dataclass(frozen=True)
class ApplicationFile:
    """What a file says: the body for the API, and who has to be known before it."""

    body: Mapping[str, Any]
    customer: Mapping[str, Any] | None
    recipients: tuple[Mapping[str, Any], ...]


def read_application(path: Path, now: datetime) -> ApplicationFile:
    """Reads a file. `today` and `+30d` in [validity] become days, counted from `now` in the file's time zone.

    `first_day` counts from today and `last_day` from the first day. [customer] and [[recipients]] describe whom the desk may
    not know yet; a certificate or an OpenPGP key is a path beside the file. Raises FileUnusable.
    """
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileUnusable(f"{path} cannot be read: {reason(error)}.") from error
    customer = stated.pop("customer", None)
    if customer is not None and not isinstance(customer, dict):
        raise _unusable("customer", "Write [customer] with tenant_id, company and time_zone below it.")
    if customer:
        stated.setdefault("tenant_id", customer.get("tenant_id"))
    described, addresses = _recipients(stated.get("recipients", []), path.parent)
    body = stated | {"recipients": addresses}
    validity = body.get("validity")
    if isinstance(validity, dict):
        body["validity"] = _with_days(validity, now)
    return ApplicationFile(_as_json(body), customer, described)


def reason(error: Exception) -> str:
    """Why something cannot be read, in words: the operating system's without its number and the path once more."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _as_json(body: Mapping[str, Any]) -> dict[str, Any]:
    """TOML knows times and infinity, JSON does not: times become text, which the desk then judges."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(body, default=str, allow_nan=False))
    except ValueError:
        raise _unusable("limits", "inf and nan are no numbers to apply for. Write a whole number.") from None
    return plain


def _with_days(validity: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    today = _today(validity.get("time_zone"), now)
    first = _day("validity.first_day", validity.get("first_day"), today)
    last = _day("validity.last_day", validity.get("last_day"), first if isinstance(first, date) else today)
    return {**validity, "first_day": _text(first), "last_day": _text(last)}


def _today(time_zone: Any, now: datetime) -> date:
    try:
        return now.astimezone(ZoneInfo(time_zone)).date()
    except (KeyError, ValueError, TypeError, OSError):
        return now.date()  # the desk refuses this time zone, in its own words


def _day(field: str, value: Any, start: date) -> Any:
    if not isinstance(value, str):
        return value
    if value == "today":
        return start
    relative = _RELATIVE.fullmatch(value)
    try:
        return start + timedelta(days=int(relative[1])) if relative else date.fromisoformat(value)
    except (ValueError, OverflowError):
        raise _unusable(field, f"{value!r} is no day. Write today, +365d, or a day such as 2027-03-31.") from None


def _text(day: Any) -> Any:
    return day.isoformat() if isinstance(day, date) else day


def _recipients(stated: Any, folder: Path) -> tuple[tuple[Mapping[str, Any], ...], list[Any]]:
    """The recipients that are described, and the addresses of all."""
    described, addresses = [], []
    for each in stated if isinstance(stated, list) else [stated]:
        if not isinstance(each, dict):
            addresses.append(each)
            continue
        given = dict(each)
        if "key" in given:
            given["key"] = key_text(folder / str(given["key"]))
        described.append(given)
        addresses.append(given.get("address"))
    return tuple(described), addresses


def key_text(path: Path) -> str:
    """A certificate or an OpenPGP key as the API takes it: text as it is, anything else in base64. Raises FileUnusable."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unusable("recipients", f"The key {path} cannot be read: {reason(error)}.") from error
    return data.decode() if b"-----BEGIN" in data and data.isascii() else b64encode(data).decode()


def _unusable(field: str, message: str) -> FileUnusable:
    return FileUnusable(message, [Problem(field, "unusable", message)])
