"""Issuer keys and trust root: that the files are there and are nobody else's. No key is opened."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from workflow.cli.checkup.files import readable_by_others
from workflow.cli.checkup.findings import Environ, Finding, fail, ok, skip, warn
from workflow.errors import DeskError
from workflow.license_file import TrustChain, TrustError
from workflow.settings import SettingUnusable, SigningSettings, load, variable
from workflow.times import wall_now

ENVIRONMENTS = ("DEV", "UAT", "PROD")
SECRET_FILE = variable("issuer_key_secret") + "_FILE"


def look(environ: Environ) -> Iterator[Finding]:
    """What the signing worker needs."""
    try:
        settings = load(SigningSettings, environ)
    except SettingUnusable:
        return  # told among the settings
    except DeskError:
        return
    yield from _keys(settings, environ)
    yield from _trust(settings, environ)


def _keys(settings: SigningSettings, environ: Environ) -> Iterator[Finding]:
    if not settings.issuer_keys:
        yield skip("issuer keys", "LICDESK_ISSUER_KEYS is not set here; only the signing worker needs it.")
        return
    named = dict(entry.strip().split("=", 1) for entry in settings.issuer_keys.split(",") if "=" in entry)
    good = True
    for environment in ENVIRONMENTS:
        uri = named.get(environment)
        if uri is None:
            good = False
            yield fail("issuer keys", f"None is named for {environment}.", f"Add {environment}=file:… to LICDESK_ISSUER_KEYS.")
        elif (path := _path_of(uri)) is not None:
            for problem in _wrong_with(path, f"The key of {environment}"):
                good = False
                yield problem
    if settings.issuer_key_secret is None:
        good = False
        yield fail("issuer keys", "The secret that opens them is not set.", f"Set {SECRET_FILE}.")
    elif secret := environ.get(SECRET_FILE):
        for problem in _wrong_with(Path(secret), "The secret"):
            good = False
            yield problem
    if good:
        yield ok("issuer keys", "One for each of DEV, UAT and PROD, readable by their owner only. None was opened.")


def _path_of(uri: str) -> Path | None:
    parts = urlsplit(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _wrong_with(path: Path, what: str) -> Iterator[Finding]:
    try:
        empty = path.stat().st_size == 0
    except OSError as error:
        yield fail("issuer keys", f"{what}, {path}, is not there: {error.strerror}.", "Name the right file.")
        return
    if empty:
        yield fail("issuer keys", f"{what}, {path}, is empty.", "Put it back from your backup.")
    if readable_by_others(path):
        yield fail("issuer keys", f"{what}, {path}, can be read by others.", f"Run: chmod 600 {path}")


def _trust(settings: SigningSettings, environ: Environ) -> Iterator[Finding]:
    directory = settings.trust_dir
    if variable("trust_dir") not in environ and not directory.is_dir():
        yield skip("trust root", "LICDESK_TRUST_DIR is not set here.")
        return
    try:
        root = TrustChain.read(directory, (directory / "pin.txt").read_text(encoding="ascii")).current
    except (OSError, ValueError) as error:
        yield fail("trust root", f"{directory} cannot be read: {error}.", "Run: licdesk trust show")
        return
    except TrustError as error:
        yield fail("trust root", str(error), "Run: licdesk trust show")
        return
    days = (root.expires_at - wall_now()).days
    said = f"Version {root.version} follows from the pinned one and is good until {root.expires_at:%-d %b %Y}"
    if days < 90:
        yield warn("trust root", f"{said}, {days} days.", "Have the custodians sign the next: licdesk trust prepare")
    else:
        yield ok("trust root", f"{said}.")
