"""The other side: the shell script of the specification, Node and securesystemslib agree with our own verdict."""

import json
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from workflow.license_file import EcdsaSigner, encode_claims, sign_license

from .example import CLAIMS, lic, lrl, signed_root, signer
from .make_vectors import PUBLISHED, edited, signed
from .other_verifiers import OtherVerifiers

KEY = signer("issuer-prod").public_key


@pytest.fixture
def others(tmp_path: Path) -> OtherVerifiers:
    return OtherVerifiers(tmp_path)


def test_the_script_verifies_a_good_file_and_prints_what_was_signed(others: OtherVerifiers) -> None:
    run = others.script((PUBLISHED / "valid.lic").read_bytes(), KEY)
    assert run.returncode == 0, run.stderr
    assert run.stdout == encode_claims(CLAIMS)
    assert b"Verified Successfully" in run.stderr


@pytest.mark.parametrize("change", ["crlf", "one line", "two signatures", "roots and revocations", "url-safe"])
def test_every_spelling_of_a_good_file_is_read_alike(others: OtherVerifiers, change: str) -> None:
    raw = {
        "crlf": lic().replace(b"\n", b"\r\n"),
        "one line": json.dumps(json.loads(lic())).encode(),
        "two signatures": signed(encode_claims(CLAIMS), "stranger", "issuer-prod"),
        "roots and revocations": lic(roots=(signed_root(),), revocations=lrl()),
        "url-safe": edited(lambda m: m.update(payload=m["payload"].replace("+", "-").replace("/", "_"))),
    }[change]
    assert others.openssl(raw, KEY) == encode_claims(CLAIMS)
    assert others.node(raw, KEY) == encode_claims(CLAIMS)


def test_all_verify_an_ecdsa_signature(others: OtherVerifiers) -> None:
    key = EcdsaSigner(generate_private_key(SECP256R1()))
    assert others.all(sign_license(CLAIMS, [key]), key.public_key) == {encode_claims(CLAIMS)}


def test_all_agree_on_the_published_files(others: OtherVerifiers) -> None:
    assert others.all((PUBLISHED / "valid.lic").read_bytes(), KEY) == {encode_claims(CLAIMS)}
    assert others.all((PUBLISHED / "tampered.lic").read_bytes(), KEY) == {None}


def test_the_script_refuses_a_tampered_file_and_prints_nothing(others: OtherVerifiers) -> None:
    run = others.script((PUBLISHED / "tampered.lic").read_bytes(), KEY)
    assert run.returncode == 1
    assert run.stdout == b""
    assert b"does not fit" in run.stderr


def test_the_script_refuses_other_keys_and_other_documents(others: OtherVerifiers) -> None:
    other_key = others.script(lic(), signer("issuer-uat").public_key)
    assert other_key.returncode == 1
    assert b"no signature of the key" in other_key.stderr
    other_document = others.script(signed_root(), signer("root-1").public_key)
    assert other_document.returncode == 1
    assert b"not a license" in other_document.stderr
    for raw in (b"", lic()[:200], b"{}"):
        assert others.script(raw, KEY).returncode != 0


def test_openssl_agrees_on_the_published_signed_bytes(tmp_path: Path) -> None:
    document = json.loads((PUBLISHED / "valid.lic").read_bytes())
    (tmp_path / "sig").write_bytes(b64decode(document["signatures"][0]["sig"]))
    key, message = str(PUBLISHED / "issuer-prod.pem"), str(PUBLISHED / "signed-bytes.bin")
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", message]
    subprocess.run([*command, "-sigfile", str(tmp_path / "sig")], capture_output=True, timeout=60, check=True)
