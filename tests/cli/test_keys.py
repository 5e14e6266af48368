"""The first keys: made once, kept privately, checked at each start; and what custody refuses."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner, Result

from workflow.cli.keys import app, check_key_set
from workflow.cli.root_files import KeySet, read_root
from workflow.errors import Misconfigured
from workflow.license_file import Environment, Purpose, sign_license, verify_license
from workflow.signing_keys import KeyRefused, new_key, new_secret, open_signer, read_secret

SECRET = b"0123456789abcdef0123456789abcdef"


@pytest.fixture
def keys(tmp_path: Path) -> KeySet:
    return KeySet(tmp_path / "keys", tmp_path / "secrets" / "issuer", tmp_path / "trust")


def init(keys: KeySet, *options: str) -> Result:
    where = ["--directory", str(keys.directory), "--secret-file", str(keys.secret_file), "--trust", str(keys.trust)]
    return CliRunner().invoke(app, ["init", *where, *options])


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def uri(path: Path) -> str:
    return path.absolute().as_uri()


def test_the_first_start_makes_every_key_and_a_trust_root(keys: KeySet) -> None:
    made = init(keys, "--demo")
    assert made.exit_code == 0, made.output
    pin = keys.pin_file.read_text().strip()
    assert f"Fingerprint to pin on every platform: {pin}" in made.output
    root = read_root(keys.trust)
    assert root.version == 1
    assert root.purpose is Purpose.DEMO
    assert [group.threshold for group in root.root.groups] == [2]
    assert len(root.root.keyids) == 3
    assert all(len(root.issuers[environment].keyids) == 2 for environment in Environment)
    assert len(root.keys) == len(list(keys.directory.glob("*.pem"))) == 13


def test_keys_are_private_and_the_trust_root_is_public(keys: KeySet) -> None:
    before = os.umask(0)
    try:
        init(keys)
    finally:
        os.umask(before)
    assert {mode(path) for path in keys.directory.glob("*.pem")} == {0o600}
    assert mode(keys.directory) == 0o700
    assert mode(keys.secret_file) == 0o600
    assert {mode(path) for path in keys.trust.iterdir()} == {0o644}
    assert all(b"ENCRYPTED" in path.read_bytes() for path in keys.directory.glob("*.pem"))


def test_a_second_start_changes_nothing(keys: KeySet) -> None:
    init(keys, "--demo")
    before = {path: path.read_bytes() for path in keys.directory.parent.rglob("*") if path.is_file()}
    again = init(keys, "--demo")
    assert again.exit_code == 0
    assert "fit trust root version 1" in again.output
    assert {path: path.read_bytes() for path in keys.directory.parent.rglob("*") if path.is_file()} == before


def test_a_production_root_is_no_demo_root_and_says_where_its_keys_belong(keys: KeySet) -> None:
    made = init(keys)
    assert "Move root-key-1.pem, root-key-2.pem, root-key-3.pem to offline media" in made.output
    assert read_root(keys.trust).purpose is Purpose.PRODUCTION


@pytest.mark.parametrize("lost", ["keys", "secrets", "trust"])
def test_an_incomplete_set_stops_and_nothing_is_made_in_its_place(keys: KeySet, lost: str) -> None:
    init(keys, "--demo")
    for path in list((keys.directory.parent / lost).iterdir()):
        path.unlink()
    stopped = init(keys, "--demo")
    assert stopped.exit_code == 1
    assert "The key set is incomplete" in stopped.stderr
    assert "Restore the missing part from its backup" in stopped.stderr
    assert list((keys.directory.parent / lost).iterdir()) == []


def test_a_secret_made_beforehand_is_used_only_when_that_is_said(keys: KeySet) -> None:
    keys.secret_file.parent.mkdir()
    keys.secret_file.write_bytes(SECRET + b"\n")
    assert init(keys).exit_code == 1
    assert init(keys, "--given-secret").exit_code == 0
    open_signer(uri(keys.key_file("issuer-prod")), SECRET)
    assert init(keys, "--given-secret").exit_code == 0


def test_root_keys_may_be_away_but_each_environment_must_be_able_to_sign(keys: KeySet) -> None:
    init(keys)
    for name in ("root-key-1", "root-key-2", "root-key-3", "issuer-prod-spare"):
        keys.key_file(name).unlink()
    check_key_set(keys)
    keys.key_file("issuer-prod").unlink()
    stopped = init(keys)
    assert stopped.exit_code == 1
    assert "may sign for PROD" in stopped.stderr


def test_keys_that_belong_to_another_secret_or_root_stop_the_start(keys: KeySet, tmp_path: Path) -> None:
    init(keys)
    other = KeySet(tmp_path / "other-keys", tmp_path / "other-secret", tmp_path / "other-trust")
    init(other)
    with pytest.raises(KeyRefused, match="the secret is not its own"):
        check_key_set(KeySet(keys.directory, other.secret_file, keys.trust))
    with pytest.raises(KeyRefused, match="may sign for DEV"):
        check_key_set(KeySet(keys.directory, keys.secret_file, other.trust))


def test_a_changed_trust_root_stops_the_start(keys: KeySet) -> None:
    init(keys)
    keys.pin_file.write_text("0" * 64)
    stopped = init(keys)
    assert stopped.exit_code == 1
    assert "ROOT_NOT_PINNED" in stopped.stderr


def test_what_the_made_keys_sign_verifies_under_the_made_root(keys: KeySet) -> None:
    from tests.license_file.example import CLAIMS, NOW, PLATFORM

    init(keys)
    signer = open_signer(uri(keys.key_file("issuer-prod")), read_secret(keys.secret_file))
    verified = verify_license(sign_license(CLAIMS, [signer]), read_root(keys.trust), PLATFORM, NOW)
    assert verified.keyids == (signer.keyid,)
    assert read_root(keys.trust).may_sign(signer.keyid, "PROD")


def test_the_list_shows_each_key_with_its_role(keys: KeySet) -> None:
    init(keys, "--demo")
    keys.key_file("root-key-2").unlink()
    keys.key_file("forgotten").write_text("")
    listed = CliRunner().invoke(app, ["list", "--directory", str(keys.directory), "--trust", str(keys.trust)])
    lines = {line.split()[0]: line for line in listed.output.splitlines()[1:]}
    assert len(lines) == 14
    assert "issuer PROD" in lines["issuer-prod-spare"]
    assert lines["root-key-2"].endswith("not here")
    assert lines["root-key-1"].endswith("file here")
    assert "not listed in the trust root" in lines["forgotten"]


def test_the_list_finds_the_keys_of_a_one_command_desk_by_its_data(
    keys: KeySet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(keys, "--demo")
    told = CliRunner().invoke(app, ["list", "--directory", str(keys.directory), "--trust", str(keys.trust)])
    assert CliRunner().invoke(app, ["list", "--data", str(tmp_path)]).output == told.output
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "var").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert CliRunner().invoke(app, ["list"]).output == told.output


def test_the_list_of_nothing_says_what_is_missing(keys: KeySet) -> None:
    listed = CliRunner().invoke(app, ["list", "--directory", str(keys.directory), "--trust", str(keys.trust)])
    assert listed.exit_code == 1
    assert "pin.txt cannot be read" in listed.stderr


def pem(key: Ed25519PrivateKey, secret: bytes | None = SECRET) -> bytes:
    encryption = BestAvailableEncryption(secret) if secret else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def kept(path: Path, content: bytes, permissions: int = 0o600) -> str:
    path.write_bytes(content)
    path.chmod(permissions)
    return uri(path)


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_could_read_is_refused(tmp_path: Path, permissions: int) -> None:
    key = kept(tmp_path / "key.pem", pem(Ed25519PrivateKey.generate()), permissions)
    with pytest.raises(KeyRefused, match="chmod 600"):
        open_signer(key, SECRET)


def test_a_plain_key_is_refused_outside_dev(tmp_path: Path) -> None:
    key = kept(tmp_path / "key.pem", pem(Ed25519PrivateKey.generate(), None))
    with pytest.raises(KeyRefused, match="not encrypted"):
        open_signer(key, SECRET)
    assert open_signer(key, b"", plain_allowed=True).alg == "ed25519"


def test_a_wrong_secret_and_a_damaged_file_are_refused(tmp_path: Path) -> None:
    content = pem(Ed25519PrivateKey.generate())
    for name, raw, secret in (
        ("a", content, b"f" * 32),
        ("b", content[:120], SECRET),
        ("c", b"", SECRET),
        ("d", b"\xff" * 50, SECRET),
    ):
        with pytest.raises(KeyRefused):
            open_signer(kept(tmp_path / f"{name}.pem", raw), secret)


def test_a_short_secret_is_refused_both_ways(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match="32 random ones"):
        new_key(tmp_path / "key.pem", b"correct horse", "key")
    assert not (tmp_path / "key.pem").exists()
    key = kept(tmp_path / "key.pem", pem(Ed25519PrivateKey.generate(), b"short"))
    with pytest.raises(KeyRefused, match="32 random ones"):
        open_signer(key, b"short")


def test_neither_links_nor_directories_nor_pipes_are_opened(tmp_path: Path) -> None:
    kept(tmp_path / "key.pem", pem(Ed25519PrivateKey.generate()))
    (tmp_path / "link.pem").symlink_to(tmp_path / "key.pem")
    (tmp_path / "directory.pem").mkdir(0o700)
    os.mkfifo(tmp_path / "pipe.pem", 0o600)
    for name in ("link", "directory", "pipe", "missing"):
        with pytest.raises(KeyRefused):
            open_signer(f"file:{tmp_path}/{name}.pem", SECRET)


@pytest.mark.parametrize(
    "address", ["", "key.pem", "file:", "file://elsewhere/key.pem", "pkcs11:token=desk", "awskms:alias/desk"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(KeyRefused, match="key"):
        open_signer(address, SECRET)


def test_a_path_with_a_space_is_opened(tmp_path: Path) -> None:
    key = new_key(tmp_path / "my key.pem", SECRET, "key")
    assert open_signer(uri(tmp_path / "my key.pem"), SECRET).keyid == key.keyid


def test_no_key_and_no_secret_is_ever_overwritten(tmp_path: Path) -> None:
    new_key(tmp_path / "key.pem", SECRET, "key")
    new_secret(tmp_path / "secret")
    with pytest.raises(KeyRefused, match="never overwritten"):
        new_key(tmp_path / "key.pem", SECRET, "key")
    with pytest.raises(KeyRefused, match="never overwritten"):
        new_secret(tmp_path / "secret")
    with pytest.raises(KeyRefused, match="cannot be written"):
        new_secret(tmp_path / "nowhere" / "secret")


def test_only_keys_that_can_sign_licenses_are_opened(tmp_path: Path) -> None:
    def opened(key: object) -> str:
        content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(SECRET))  # type: ignore[attr-defined]  # each kind of private key has it
        return open_signer(kept(tmp_path / f"{id(key)}.pem", content), SECRET).alg

    assert opened(generate_private_key(SECP256R1())) == "ecdsa-p256-sha256"
    with pytest.raises(KeyRefused, match="cannot sign licenses"):
        opened(generate_private_key(SECP384R1()))
    with pytest.raises(KeyRefused, match="neither"):
        opened(generate_rsa_key(65537, 2048))


def test_a_key_is_readable_by_openssl_with_the_secret(tmp_path: Path) -> None:
    new_key(tmp_path / "key.pem", SECRET, "key")
    command = ["openssl", "pkey", "-in", str(tmp_path / "key.pem"), "-passin", f"pass:{SECRET.decode()}", "-noout", "-text"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "ED25519 Private-Key" in run.stdout


def test_a_refused_key_is_a_matter_of_the_settings() -> None:
    assert issubclass(KeyRefused, Misconfigured)


def test_neither_key_nor_secret_shows_in_what_a_signer_prints(tmp_path: Path) -> None:
    new_key(tmp_path / "key.pem", SECRET, "key")
    signer = open_signer(uri(tmp_path / "key.pem"), SECRET)
    assert repr(signer) == f"Ed25519Signer({signer.keyid[:16]})"


def test_the_root_says_when_it_was_made(keys: KeySet) -> None:
    init(keys)
    root = read_root(keys.trust)
    assert abs((root.issued_at - datetime.now(UTC)).total_seconds()) < 60
    assert not root.is_expired(datetime.now(UTC))
