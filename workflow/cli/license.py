"""`licdesk license`: look at a `.lic` file and say whether it may be used, with the same checks as the platform."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from workflow.license_file import (
    MAX_ENVELOPE,
    Check,
    Environment,
    Expected,
    LicenseRefused,
    Result,
    TrustChain,
    TrustError,
    VerifiedLicense,
    last_usable_day_text,
    verify_license,
)
from workflow.times import utc_now

app = typer.Typer(name="license", help="License files.", no_args_is_help=True)

_MARKS = {Result.PASSED: "ok", Result.FAILED: "REFUSED", Result.NOT_CHECKED: "not checked", Result.NOTE: "note"}


@app.callback()
def license_files() -> None:
    """License files."""


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The .lic file.", exists=True, dir_okay=False, readable=True)],
    trust: Annotated[Path, typer.Option(help="Directory with root-1.json and later versions.", exists=True, file_okay=False)],
    pin: Annotated[
        str | None, typer.Option(help="SHA-256 of trust root version 1; pin.txt of the directory if left out.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Tenant id of the platform the file is meant for.")] = None,
    environment: Annotated[Environment | None, typer.Option(help="Environment of that platform.")] = None,
    at: Annotated[str | None, typer.Option(help="The instant to judge by, like 2027-03-31T16:00:00Z; now if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Verify a license file. Without --tenant and --environment only the signature and the content are judged.

    Exits with 0 if the file is accepted, 1 if it is refused, 2 if the command or the trust root is wrong.
    """
    if (tenant is None) != (environment is None):
        raise typer.BadParameter("give --tenant and --environment together, or neither")
    expected = Expected(tenant, environment) if tenant and environment else None
    instant = _instant(at)
    try:
        root = TrustChain.read(trust, pin or (trust / "pin.txt").read_text(encoding="ascii")).current
    except (TrustError, OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error), param_hint="--trust") from None
    with file.open("rb") as opened:
        raw = opened.read(MAX_ENVELOPE + 1)
    try:
        verdict: VerifiedLicense | LicenseRefused = verify_license(raw, root, expected, instant)
    except LicenseRefused as refused:
        verdict = refused
    if as_json:
        typer.echo(json.dumps(_as_members(verdict), ensure_ascii=False, indent=1))
    else:
        typer.echo(_as_text(verdict, "Genuine" if expected is None else "Accepted"))
    if isinstance(verdict, LicenseRefused):
        raise typer.Exit(1)


def _instant(text: str | None) -> datetime:
    if text is None:
        return utc_now()
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise typer.BadParameter("write it like 2027-03-31T16:00:00Z", param_hint="--at") from None


def _as_text(verdict: VerifiedLicense | LicenseRefused, good: str) -> str:
    lines = [_line(check) for check in verdict.checks]
    if isinstance(verdict, LicenseRefused):
        lines += ["", f"Refused: {verdict.code}", str(verdict)]
        if verdict.contact is not None:
            contact = verdict.contact
            reach = (contact.name, contact.url, contact.mailbox, contact.phone)
            lines.append("Contact: " + ", ".join(each for each in reach if each))
        return "\n".join(lines)
    claims = verdict.claims
    lines += [
        "",
        f"{good}: {verdict.state}",
        f"License ID       {claims.license_id}, version {claims.version}",
        f"Customer         {claims.licensee.company} ({claims.licensee.tenant_id}), {claims.environment}",
        f"Last usable day  {last_usable_day_text(claims)}",
        f"Payload SHA-256  {verdict.payload_sha256}",
        f"Signed by        {', '.join(verdict.keyids)}",
    ]
    return "\n".join(lines)


def _line(check: Check) -> str:
    return f"{_MARKS[check.result]:12} {check.title}" + (f": {check.detail}" if check.detail else "")


def _as_members(verdict: VerifiedLicense | LicenseRefused) -> dict[str, Any]:
    checks = [
        {"name": check.name, "result": check.result, "title": check.title, "detail": check.detail} for check in verdict.checks
    ]
    if isinstance(verdict, LicenseRefused):
        return {"accepted": False, "code": verdict.code, "message": str(verdict), "checks": checks}
    return {
        "accepted": True,
        "state": verdict.state,
        "warnings": list(verdict.warnings),
        "payload_sha256": verdict.payload_sha256,
        "keyids": list(verdict.keyids),
        "license": json.loads(verdict.payload),
        "checks": checks,
    }
