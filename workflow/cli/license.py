"""`licdesk license`: look at a `.lic` file, say whether it may be used with the same checks as the platform, call one back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from workflow.cli.client import HERE, AsJson, Token, TokenFile, Url, desk_at, say
from workflow.cli.root_files import DEFAULT_TRUST, FileUnusable, read_chain, read_file
from workflow.license_file import (
    LICENSE_TYPE,
    MAX_ENVELOPE,
    Check,
    Environment,
    Expected,
    LicenseRefused,
    Result,
    TrustError,
    TrustRoot,
    VerifiedLicense,
    decode_revocations,
    decode_root_payload,
    last_usable_day_text,
    verify_license,
)
from workflow.license_file.envelope import decode
from workflow.license_file.strict_json import decode as decode_strictly
from workflow.times import utc_now

app = typer.Typer(name="license", help="License files.", no_args_is_help=True)

_MARKS = {Result.PASSED: "ok", Result.FAILED: "REFUSED", Result.NOT_CHECKED: "not checked", Result.NOTE: "note"}


@app.command("inspect")
def inspect(
    file: Annotated[Path, typer.Argument(help="A .lic, .lrl, .lrc or trust root file.", exists=True, dir_okay=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a file says without believing any of it: nothing is verified. Exits with 1 if it is damaged."""
    raw = _read(file)
    try:
        envelope = decode(raw)
        content = decode_strictly(envelope.payload)
        roots = [decode_root_payload(decode(root).payload).version for root in envelope.roots]
        carried = decode_revocations(decode(envelope.revocations).payload).sequence if envelope.revocations else None
    except (LicenseRefused, TrustError) as refused:
        typer.echo(json.dumps({"code": refused.code, "message": str(refused)}) if as_json else f"{refused.code}: {refused}")
        raise typer.Exit(1) from None
    facts: dict[str, Any] = {
        "type": envelope.payload_type,
        "payload_sha256": sha256(envelope.payload).hexdigest(),
        "payload_bytes": len(envelope.payload),
        "keyids": [each.keyid for each in envelope.signatures],
        "roots": roots,
        "revocations": carried,
        "content": content,
    }
    if as_json:
        typer.echo(json.dumps({"verified": False, **facts}, ensure_ascii=False, indent=1))
        return
    lines = [
        "Not verified: anybody could have written this."
        + (" To check it: licdesk license verify" if envelope.payload_type == LICENSE_TYPE else ""),
        "",
        f"Type             {envelope.payload_type}",
        f"Payload SHA-256  {facts['payload_sha256']} ({len(envelope.payload):,} bytes)",
        f"Signatures       {', '.join(facts['keyids'])}",
        f"Trust roots      {', '.join(f'version {each}' for each in roots) or 'none inside'}",
        f"Revocation list  {f'number {carried}' if carried else 'none inside'}",
        "",
        json.dumps(content, ensure_ascii=False, indent=1),
    ]
    typer.echo("\n".join(lines))


@app.command("revoke")
def revoke(
    license_id: Annotated[str, typer.Argument(help="The License ID, such as PROD-7Q2MX-4TBK9-HZ0CE.")],
    version: Annotated[int, typer.Argument(help="The version that is called back.", min=1)],
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, in words that every customer may read.")] = "",
    url: Url = HERE,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Call a license back (operators). DEV and UAT at once; PROD when a second operator gives the same command."""

    def said(made: Mapping[str, Any]) -> None:
        name = f"{made['license_id']} version {made['version']}"
        if made["state"] == "asked":
            typer.echo(f"{name}: asked for by {made['asked_by']}. It counts until another operator gives the same command.")
        else:
            typer.echo(f"{name} is revoked: {made['reason']}")
            typer.echo("Next: licdesk revocations publish, so that the platforms learn of it.")

    with desk_at(url, token, token_file) as desk:
        say(desk.post(f"/licenses/{license_id}/versions/{version}/revocation", {"reason": reason}), as_json, said)


@app.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The .lic file.", exists=True, dir_okay=False, readable=True)],
    trust: Annotated[
        Path,
        typer.Option(
            envvar="LICDESK_TRUST_DIR", help="Directory of the trust roots, or the file of version 1 alone.", exists=True
        ),
    ] = DEFAULT_TRUST,
    pin: Annotated[str | None, typer.Option(help="SHA-256 of trust root version 1; pin.txt beside it if left out.")] = None,
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
        root = _trust_root(trust, pin)
    except (TrustError, FileUnusable) as error:
        raise typer.BadParameter(str(error), param_hint="--trust") from None
    raw = _read(file)
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


def _trust_root(place: Path, pin: str | None) -> TrustRoot:
    if place.is_dir():
        return read_chain(place, pin).current
    return TrustRoot.pinned(read_file(place), pin or read_file(place.with_name("pin.txt")).decode("ascii", "replace"))


def _read(file: Path) -> bytes:
    # One byte more than is ever read is enough to tell that it is too much.
    with file.open("rb") as opened:
        return opened.read(MAX_ENVELOPE + 1)


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
