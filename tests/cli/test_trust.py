"""The trust root by command: prepared by one, signed by others, merged; and the rotation drill of docs/operations.md."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pytest
from typer.testing import CliRunner, Result

from tests.license_file.example import NOW, TENANT, claims
from workflow.cli.main import app
from workflow.cli.root_files import read_chain
from workflow.license_file import KeyUse, Purpose, sign_license
from workflow.signing_keys import open_signer, read_secret

CUSTODIANS = ("anna", "bela", "chen")
AT = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"


def licdesk(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})


def done(*arguments: object) -> str:
    run = licdesk(*arguments)
    assert run.exit_code == 0, run.output
    return run.output


@dataclass
class Vendor:
    """Custodians with a root key each on a machine of their own, and the desk's machine with the other keys."""

    home: Path

    def new_key(self, holder: str, name: str) -> Path:
        """A key made where it is going to stay; returns its public half."""
        secret = self.home / holder / "secret"
        make = () if secret.exists() else ("--new-secret",)
        done("keys", "new", name, "--directory", self.home / holder, "--secret-file", secret, *make)
        return self.home / holder / f"{name}.pub"

    def private(self, holder: str, name: str) -> str:
        return (self.home / holder / f"{name}.pem").as_uri()

    @property
    def trust(self) -> Path:
        return self.home / "trust"

    def prepared(self, *changes: object, draft: str = "draft") -> Path:
        path = self.home / draft
        done("trust", "prepare", "--draft", path, "--trust", self.trust, *changes)
        return path

    def signed(self, draft: Path, holder: str, *options: object) -> Path:
        """What a custodian does where their key is."""
        signature = draft.with_name(f"{draft.name}-{holder}")
        where = ("--key", self.private(holder, f"root-{holder}"), "--secret-file", self.home / holder / "secret")
        done("trust", "sign", "--draft", draft, *where, "--to", signature, "--yes", *options)
        return signature

    def merged(self, signatures: Sequence[Path]) -> Result:
        return licdesk("trust", "merge", *signatures, "--trust", self.trust)

    def next_root(self, *changes: object) -> str:
        """The whole rotation: prepare, two of three sign, merge."""
        draft = self.prepared(*changes)
        merged = self.merged([self.signed(draft, each, "--trust", self.trust) for each in CUSTODIANS[:2]])
        assert merged.exit_code == 0, merged.output
        for each in self.home.glob("draft*"):
            each.unlink()
        return merged.output

    def file_by(self, name: str, *, version: int = 1, roots: Sequence[bytes] = ()) -> Path:
        """A license file signed with an issuer key, as the signing worker does it."""
        signer = open_signer(self.private("desk", name), read_secret(self.home / "desk" / "secret"))
        path = self.home / f"{name}-{version}.lic"
        path.write_bytes(sign_license(claims(version=version), [signer], roots=roots))
        return path

    def verdict(self, file: Path, trust: Path) -> str:
        """What a platform with these roots says: a state or a code."""
        where = ("--trust", trust, "--tenant", TENANT, "--environment", "PROD", "--at", AT, "--json")
        answer = json.loads(licdesk("license", "verify", file, *where).output)
        return str(answer["state"] if answer["accepted"] else answer["code"])

    def platform_with(self, *versions: int) -> Path:
        """A platform's own copy: the pin and these versions."""
        directory = self.home / f"platform-{max(versions)}"
        directory.mkdir(exist_ok=True)
        for name in ("pin.txt", *(f"root-{version}.json" for version in versions)):
            (directory / name).write_bytes((self.trust / name).read_bytes())
        return directory

    def first_draft(self) -> Path:
        roots = [("--root", self.new_key(each, f"root-{each}")) for each in CUSTODIANS]
        issuers = [
            ("--issuer", f"{name}={self.new_key('desk', f'issuer-{name.lower()}{spare}')}")
            for name in ("DEV", "UAT", "PROD")
            for spare in ("", "-spare")
        ]
        rest = [("--revoker", self.new_key("desk", "revoker")), ("--auditor", self.new_key("desk", "auditor"))]
        draft = self.home / "draft-1"
        done("trust", "init", "--draft", draft, *(part for option in (*roots, *issuers, *rest) for part in option))
        return draft


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    return Vendor(tmp_path)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All keys of a vendor and trust root version 1."""
    vendor = Vendor(tmp_path_factory.mktemp("vendor"))
    draft = vendor.first_draft()
    assert vendor.merged([vendor.signed(draft, each) for each in CUSTODIANS[1:]]).exit_code == 0
    return vendor.home


@pytest.fixture
def established(made_once: Path, vendor: Vendor) -> Vendor:
    """A vendor whose trust root version 1 is made."""
    copytree(made_once, vendor.home, dirs_exist_ok=True)
    return vendor


def test_the_first_root_is_made_of_public_keys_and_its_fingerprint_is_the_pin(vendor: Vendor) -> None:
    draft = vendor.first_draft()
    merged = vendor.merged([vendor.signed(draft, "anna"), vendor.signed(draft, "chen")])
    assert merged.exit_code == 0, merged.output
    root = read_chain(vendor.trust).current
    assert f"Fingerprint to pin on every platform: {root.payload_sha256}" in merged.output
    assert (vendor.trust / "pin.txt").read_text().strip() == root.payload_sha256
    assert (root.purpose, root.root.groups[0].threshold, len(root.keys)) == (Purpose.PRODUCTION, 2, 11)
    assert {key.label for key in root.keys.values()} >= {"root-anna", "issuer-prod", "issuer-prod-spare", "revoker"}


def test_one_custodian_is_not_enough_and_nothing_is_written(vendor: Vendor) -> None:
    draft = vendor.first_draft()
    anna = vendor.signed(draft, "anna")
    alone = vendor.merged([anna])
    assert (alone.exit_code, "ROOT_UNDER_SIGNED" in alone.stderr) == (1, True)
    again = draft.with_name("again")
    again.write_bytes(anna.read_bytes())
    twice = vendor.merged([anna, again])
    assert (twice.exit_code, "ROOT_UNDER_SIGNED" in twice.stderr) == (1, True)
    assert not vendor.trust.exists()


def test_the_rotation_drill(established: Vendor) -> None:
    vendor = established
    old = vendor.platform_with(1)
    file_of_a = vendor.file_by("issuer-prod")
    assert vendor.verdict(file_of_a, old) == "ACTIVE"

    # Root 2 adds issuer B. It travels inside a file that B signed; the platform knows root 1 only.
    vendor.next_root("--add", f"PROD={vendor.new_key('desk', 'issuer-b')}")
    root_2 = (vendor.trust / "root-2.json").read_bytes()
    assert vendor.verdict(vendor.file_by("issuer-b", version=2), old) == "UNKNOWN_KEY"
    assert vendor.verdict(vendor.file_by("issuer-b", version=2, roots=[root_2]), old) == "ACTIVE"

    # Root 3 drops A: its files are refused, wherever root 3 has arrived, and by a file that brings it.
    vendor.next_root("--drop", "issuer-prod")
    root_3 = (vendor.trust / "root-3.json").read_bytes()
    new = vendor.platform_with(1, 2, 3)
    assert vendor.verdict(file_of_a, new) == "KEY_RETIRED"
    assert vendor.verdict(vendor.file_by("issuer-prod", version=3, roots=[root_2, root_3]), old) == "KEY_RETIRED"
    assert vendor.verdict(vendor.file_by("issuer-b", version=3, roots=[root_2, root_3]), old) == "ACTIVE"
    assert vendor.verdict(vendor.file_by("issuer-b", version=3), new) == "ACTIVE"

    shown = done("trust", "show", "--trust", vendor.trust)
    assert "Adds issuer-b (ed25519" in shown
    assert "Drops issuer-prod" in shown


def test_custodians_are_changed_by_the_old_ones_and_the_new_ones_together(established: Vendor) -> None:
    vendor = established
    draft = vendor.prepared("--add", f"root={vendor.new_key('dana', 'root-dana')}", "--drop", "root-chen")
    old, new = [vendor.signed(draft, each, "--trust", vendor.trust) for each in ("anna", "chen")], vendor.signed(draft, "dana")
    not_enough = vendor.merged(old)
    assert (not_enough.exit_code, "its own root keys" in not_enough.stderr) == (1, True)
    assert vendor.merged([*old, new]).exit_code == 0
    assert read_chain(vendor.trust).current.version == 2


def test_a_retired_key_verifies_and_signs_no_more(established: Vendor) -> None:
    vendor = established
    draft = vendor.home / "draft"
    said = done("keys", "retire", "issuer-prod", "--trust", vendor.trust, "--draft", draft)
    assert "Retires issuer-prod: what it signed stays good, it signs no more." in said
    merged = vendor.merged([vendor.signed(draft, each) for each in CUSTODIANS[:2]])
    assert merged.exit_code == 0, merged.output
    root = read_chain(vendor.trust).current
    (retired,) = (key for key in root.keys.values() if key.use is KeyUse.VERIFY_ONLY)
    assert retired.label == "issuer-prod"
    assert not root.may_sign(retired.keyid, "PROD")
    assert vendor.verdict(vendor.file_by("issuer-prod"), vendor.trust) == "ACTIVE"


def test_a_draft_takes_several_changes_before_it_is_signed(established: Vendor) -> None:
    vendor = established
    draft = vendor.prepared("--add", f"PROD={vendor.new_key('desk', 'issuer-b')}")
    done("keys", "retire", "issuer-prod", "--trust", vendor.trust, "--draft", draft)
    said = done("trust", "prepare", "--draft", draft, "--trust", vendor.trust, "--threshold", "root=3", "--years", "1")
    for each in ("Adds issuer-b", "Retires issuer-prod", "root needs 3 of 3 instead of 2 of 3", "PROD needs 1 of 3 instead of"):
        assert each in said


def test_signatures_of_two_drafts_are_not_put_together(established: Vendor) -> None:
    vendor = established
    first = vendor.signed(vendor.prepared("--years", "2"), "anna")
    second = vendor.signed(vendor.prepared("--years", "3"), "bela")
    mixed = vendor.merged([first, second])
    assert (mixed.exit_code, "Let everybody sign the same draft" in mixed.stderr) == (1, True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--drop", "nobody"), "No keys are called nobody"),
        (("--drop", "revoker"), "too few keys are left that sign for revokers"),
        (("--threshold", "root=4"), "root has 3 keys; 4 of them cannot sign"),
        (("--threshold", "kitchen=1"), "There is no role kitchen"),
        (("--add", "PROD=missing.pub"), "missing.pub cannot be read"),
    ],
)
def test_a_change_that_a_root_cannot_take_is_refused(established: Vendor, changes: tuple[str, ...], said: str) -> None:
    run = licdesk("trust", "prepare", "--draft", established.home / "draft", "--trust", established.trust, *changes)
    assert (run.exit_code, said in run.stderr) == (1, True), run.output
    assert not (established.home / "draft").exists()


@pytest.mark.parametrize("change", [("--add", "PROD"), ("--threshold", "root=many"), ("--years", "0")])
def test_a_wrong_command_exits_with_2(established: Vendor, change: tuple[str, ...]) -> None:
    run = licdesk("trust", "prepare", "--draft", established.home / "draft", "--trust", established.trust, *change)
    assert run.exit_code == 2


def test_one_key_cannot_be_added_twice_under_two_labels(established: Vendor) -> None:
    vendor = established
    copy = vendor.home / "copy.pub"
    copy.write_bytes((vendor.home / "desk" / "issuer-prod.pub").read_bytes())
    run = licdesk("trust", "prepare", "--draft", vendor.home / "draft", "--trust", vendor.trust, "--add", f"UAT={copy}")
    assert (run.exit_code, "is listed already, as issuer-prod" in run.stderr) == (1, True)


def test_only_root_keys_sign_drafts(established: Vendor) -> None:
    vendor = established
    draft = vendor.prepared("--years", "2")
    where = ("--key", vendor.private("desk", "issuer-prod"), "--secret-file", vendor.home / "desk" / "secret", "--yes")
    run = licdesk("trust", "sign", "--draft", draft, *where, "--trust", vendor.trust)
    assert (run.exit_code, "trust.not_a_root_key" in run.stderr) == (1, True)


def test_nothing_is_signed_without_a_yes(established: Vendor) -> None:
    vendor = established
    draft = vendor.prepared("--years", "2")
    where = ["--key", vendor.private("anna", "root-anna"), "--secret-file", str(vendor.home / "anna" / "secret")]
    run = CliRunner().invoke(app, ["trust", "sign", "--draft", str(draft), *where], input="n\n")
    assert run.exit_code == 1
    assert list(vendor.home.glob("draft.*")) == []


def test_the_chain_is_shown_to_programs_too(established: Vendor) -> None:
    shown = json.loads(done("trust", "show", "--trust", established.trust, "--json"))
    assert (shown["version"], shown["purpose"]) == (1, "production")
    assert shown["roles"]["root"][0]["threshold"] == 2
    assert {key["role"] for key in shown["keys"].values()} == {"root", "DEV", "UAT", "PROD", "revokers", "auditors"}


def test_another_pin_is_refused(established: Vendor) -> None:
    run = licdesk("trust", "show", "--trust", established.trust, "--pin", "0" * 64)
    assert (run.exit_code, "ROOT_NOT_PINNED" in run.stderr) == (1, True)
