"""`licdesk trust`: the trust root that platforms pin. One person prepares a draft, others sign it where their keys are, one
puts the signatures together; nobody needs to hold more than one root key."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer

from workflow.cli import root_draft
from workflow.cli.root_files import (
    DEFAULT_TRUST,
    Draft,
    FileUnusable,
    make_directory,
    read_chain,
    read_file,
    read_public_key,
    read_root,
    refusals,
    say_draft,
    write_public,
)
from workflow.license_file import (
    TRUST_ROOT_TYPE,
    Environment,
    Purpose,
    RootContent,
    TrustChain,
    TrustedKey,
    TrustRoot,
    join_signatures,
    sign_document,
)
from workflow.license_file.envelope import decode
from workflow.signing_keys import open_signer, read_secret
from workflow.times import wall_now

app = typer.Typer(name="trust", help="The trust root that platforms pin: prepare, sign, merge, show.", no_args_is_help=True)

_Trust = Annotated[
    Path,
    typer.Option("--trust", envvar="LICDESK_TRUST_DIR", help="Directory of the trust roots and the pin.", file_okay=False),
]
_DraftFile = Annotated[Path, typer.Option("--draft", help="The file of the draft.", dir_okay=False)]
_Years = Annotated[int, typer.Option("--years", help="Platforms warn when the trust root is older.", min=1, max=20)]


class NotARootKey(FileUnusable):
    """The key does not sign trust roots, so its signature would count for nothing."""

    code = "trust.not_a_root_key"


@app.command("init")
def init(
    draft: _DraftFile,
    root: Annotated[list[Path], typer.Option("--root", help="Public keys that change the trust root, from its custodians.")],
    issuer: Annotated[list[str], typer.Option("--issuer", help="ENVIRONMENT=FILE.pub, each with a spare.")],
    revoker: Annotated[list[Path], typer.Option("--revoker", help="Public keys that sign revocation lists.")],
    auditor: Annotated[list[Path], typer.Option("--auditor", help="Public keys that sign audit checkpoints.")],
    threshold: Annotated[int, typer.Option(help="So many root keys must sign together.", min=1)] = 2,
    demo: Annotated[bool, typer.Option("--demo", help="For trying things out; no production platform takes it.")] = False,
    years: _Years = 5,
) -> None:
    """Write the draft of trust root version 1 out of public keys (see: licdesk keys new). Its fingerprint is the pin."""
    roles: dict[str, list[Path]] = {root_draft.ROOT: root, root_draft.REVOKERS: revoker, root_draft.AUDITORS: auditor}
    for each in issuer:
        role, path = _assigned(each, "--issuer")
        if role not in Environment.__members__:
            raise typer.BadParameter(f"{role} is no environment: {', '.join(Environment)}", param_hint="--issuer")
        roles.setdefault(role, []).append(Path(path))
    with refusals():
        if draft.exists():
            raise FileUnusable(f"{draft} exists already. Remove it to start again.")
        keys = {role: tuple(read_public_key(path) for path in paths) for role, paths in roles.items()}
        _require_apart([key for each in keys.values() for key in each])
        now = _now()
        content = root_draft.first(keys, threshold, Purpose.DEMO if demo else Purpose.PRODUCTION, now)
        written = Draft.write(draft, _until(content, now, years))
        say_draft(written, None)
    typer.echo(f"Next, by {threshold} custodians: licdesk trust sign --draft {draft} --key file:/path/to/root-key.pem")


@app.command("prepare")
def prepare(
    draft: _DraftFile,
    trust: _Trust = DEFAULT_TRUST,
    add: Annotated[list[str] | None, typer.Option("--add", help="ROLE=FILE.pub: one more key in a role.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="A key that is believed no more, by label or id.")] = None,
    threshold: Annotated[list[str] | None, typer.Option("--threshold", help="ROLE=N: so many must sign together.")] = None,
    years: _Years = 5,
) -> None:
    """Write the draft of the next trust root, or change one that is there. Roles: root, DEV, UAT, PROD, revokers, auditors."""
    with refusals():
        current = read_root(trust)
        now = _now()
        content = Draft.read(draft, current).content if draft.exists() else root_draft.following(current, now)
        for each in add or []:
            role, path = _assigned(each, "--add")
            content = root_draft.with_key(content, role, read_public_key(Path(path)))
        for each in drop or []:
            content = root_draft.without(content, each)
        for each in threshold or []:
            role, number = _assigned(each, "--threshold")
            if not number.isdecimal():
                raise typer.BadParameter(f"{number} is no number", param_hint="--threshold")
            content = root_draft.with_threshold(content, role, int(number))
        say_draft(Draft.write(draft, _until(content, content.issued_at, years)), current)
    typer.echo(f"Next, by the custodians: licdesk trust sign --draft {draft} --key file:/path/to/root-key.pem")


@app.command("sign")
def sign(
    draft: _DraftFile,
    key: Annotated[str, typer.Option("--key", help="Where the root key is, such as file:/media/root-key-1.pem.")],
    secret_file: Annotated[Path, typer.Option("--secret-file", help="The secret that opens the key.", dir_okay=False)],
    trust: Annotated[
        Path | None, typer.Option("--trust", help="The trust roots so far, to be told what changes.", file_okay=False)
    ] = None,
    to: Annotated[Path | None, typer.Option("--to", help="The file of the signature.", dir_okay=False)] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking; the fingerprint was compared.")] = False,
) -> None:
    """Sign a draft with one root key, where that key is. Needs no network and no database."""
    with refusals():
        current = read_root(trust) if trust else None
        found = Draft.read(draft, current)
        signer = open_signer(key, read_secret(secret_file))
        entitled = found.content.root.keyids | (current.root.keyids if current else frozenset())
        if current is None and found.content.version > 1 and signer.keyid not in entitled:
            raise NotARootKey("The draft does not list this root key. If the version before does, name it with --trust.")
        if signer.keyid not in entitled:
            raise NotARootKey(f"The key {signer.keyid[:16]} does not sign trust roots, neither before nor after this change.")
        say_draft(found, current)
        if not yes and not typer.confirm("Sign it, having compared the fingerprint with the others?"):
            raise typer.Exit(1)
        path = to or draft.with_suffix(f".{signer.keyid[:16]}.signed")
        write_public(path, sign_document(TRUST_ROOT_TYPE, found.payload, [signer]))
    typer.echo(f"Signed with {signer.keyid[:16]}: {path}")


@app.command("merge")
def merge(
    signed: Annotated[list[Path], typer.Argument(help="What the custodians signed.", dir_okay=False)],
    trust: _Trust = DEFAULT_TRUST,
) -> None:
    """Put signatures together; the trust root is added when they are enough. Version 1 starts the directory with its pin."""
    with refusals():
        try:
            raw = join_signatures([read_file(path) for path in signed])
        except ValueError as error:
            raise FileUnusable(f"{', '.join(map(str, signed))}: {error}. Let everybody sign the same draft.") from error
        if (trust / "pin.txt").exists():
            root = read_chain(trust).extended(raw).current
            write_public(trust / f"root-{root.version}.json", raw)
        else:
            root = _first_root(raw)
            make_directory(trust, 0o755)
            write_public(trust / "root-1.json", raw)
            write_public(trust / "pin.txt", root.payload_sha256.encode("ascii") + b"\n")
            typer.echo(f"Fingerprint to pin on every platform: {root.payload_sha256}")
    typer.echo(f"Trust root version {root.version} is in {trust}. New license files bring it to the platforms.")


@app.command("show")
def show(
    trust: _Trust = DEFAULT_TRUST,
    pin: Annotated[str | None, typer.Option(help="SHA-256 of version 1; pin.txt of the directory if left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show every version of the trust root, what each changed, and the keys that are believed now."""
    with refusals():
        chain = read_chain(trust, pin)
    if as_json:
        typer.echo(json.dumps(_as_members(chain), indent=1, ensure_ascii=False))
        return
    before: TrustRoot | None = None
    for root in chain.roots:
        typer.echo(f"Version {root.version} ({root.purpose}), {root.issued_at:%Y-%m-%d} to {root.expires_at:%Y-%m-%d}")
        typer.echo(f"  Fingerprint {root.payload_sha256}" + ("  (the pin)" if root.version == 1 else ""))
        for each in root_draft.changes(before, root) if before else ():
            typer.echo(f"  - {each}")
        before = root
    current = chain.current
    typer.echo("")
    for role in root_draft.ROLES:
        groups = root_draft.group_of(current, role)
        typer.echo(f"{role}, {root_draft.needs(groups)}")
        for keyid in (keyid for group in groups.groups for keyid in group.keyids):
            key = current.keys[keyid]
            typer.echo(f"  {key.label:24} {key.use:12} {key.alg:18} {keyid}")


def _first_root(raw: bytes) -> TrustRoot:
    # Nothing is pinned yet: this very command makes the pin, which people then compare.
    return TrustRoot.pinned(raw, sha256(decode(raw).payload).hexdigest())


def _assigned(text: str, option: str) -> tuple[str, str]:
    role, separator, value = text.partition("=")
    if not separator or not value:
        raise typer.BadParameter(f"write it as ROLE=…, not {text}", param_hint=option)
    return role, value


def _require_apart(keys: list[TrustedKey]) -> None:
    for names in ([key.keyid for key in keys], [key.label for key in keys]):
        for name in names:
            if names.count(name) > 1:
                raise root_draft.DraftRefused(f"The key {name[:40]} is named twice. Each key has one role and one label.")


def _until(content: RootContent, start: datetime, years: int) -> RootContent:
    return replace(content, expires_at=start + timedelta(days=365 * years))


def _now() -> datetime:
    return wall_now().replace(microsecond=0)


def _as_members(chain: TrustChain) -> dict[str, Any]:
    current = chain.current
    return {
        "pin": chain.roots[0].payload_sha256,
        "version": current.version,
        "purpose": current.purpose,
        "versions": [
            {
                "version": root.version,
                "payload_sha256": root.payload_sha256,
                "issued_at": root.issued_at.isoformat(),
                "expires_at": root.expires_at.isoformat(),
            }
            for root in chain.roots
        ],
        "roles": {
            role: [
                {"threshold": group.threshold, "keyids": list(group.keyids)}
                for group in root_draft.group_of(current, role).groups
            ]
            for role in root_draft.ROLES
        },
        "keys": {
            keyid: {"label": key.label, "use": key.use, "alg": key.alg, "role": root_draft.role_of(current, keyid)}
            for keyid, key in current.keys.items()
        },
    }
