"""The other side: the shell script of the specification, Node and securesystemslib agree with our own verdict."""

import json
import shutil
import subprocess
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from securesystemslib.dsse import Envelope as OracleEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # its public name, exported without __all__

from workflow.license_file import EcdsaSigner, Signer, encode_claims, sign_license

from .example import CLAIMS, lic, lrl, signed_root, signer
from .make_vectors import PUBLISHED, edited, signed

SPECIFICATION = Path(__file__).parents[2] / "docs" / "license-file.md"


def script() -> str:
    """The one shell script in the page."""
    blocks = SPECIFICATION.read_text(encoding="utf-8").split("```sh\n")
    assert len(blocks) == 2
    return blocks[1].split("```")[0]


def pem(key: Signer) -> bytes:
    return load_der_public_key(key.public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def checked(tmp_path: Path) -> "Checked":
    (tmp_path / "verify-lic.sh").write_text(script())
    return Checked(tmp_path)


class Checked:
    """Runs the script on a file with a key."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, raw: bytes, key: Signer | None = None) -> subprocess.CompletedProcess[bytes]:
        (self.directory / "file.lic").write_bytes(raw)
        (self.directory / "key.pem").write_bytes(pem(key or signer("issuer-prod")))
        command = ["sh", "verify-lic.sh", "file.lic", "key.pem"]
        return subprocess.run(command, cwd=self.directory, capture_output=True, timeout=60, check=False)


def test_the_script_verifies_a_good_file_and_prints_what_was_signed(checked: Checked) -> None:
    run = checked((PUBLISHED / "valid.lic").read_bytes())
    assert run.returncode == 0, run.stderr
    assert run.stdout == encode_claims(CLAIMS)
    assert b"Verified Successfully" in run.stderr


@pytest.mark.parametrize("change", ["crlf", "one line", "two signatures", "roots and revocations", "url-safe"])
def test_the_script_takes_every_spelling_of_a_good_file(checked: Checked, change: str) -> None:
    raw = {
        "crlf": lic().replace(b"\n", b"\r\n"),
        "one line": json.dumps(json.loads(lic())).encode(),
        "two signatures": signed(encode_claims(CLAIMS), "stranger", "issuer-prod"),
        "roots and revocations": lic(roots=(signed_root(),), revocations=lrl()),
        "url-safe": edited(lambda m: m.update(payload=m["payload"].replace("+", "-").replace("/", "_"))),
    }[change]
    run = checked(raw)
    assert run.returncode == 0, run.stderr
    assert run.stdout == encode_claims(CLAIMS)


def test_the_script_verifies_an_ecdsa_signature(checked: Checked) -> None:
    key = EcdsaSigner(generate_private_key(SECP256R1()))
    assert checked(sign_license(CLAIMS, [key]), key).returncode == 0


def test_the_script_refuses_a_tampered_file_and_prints_nothing(checked: Checked) -> None:
    run = checked((PUBLISHED / "tampered.lic").read_bytes())
    assert run.returncode == 1
    assert run.stdout == b""
    assert b"does not fit" in run.stderr


def test_the_script_refuses_other_keys_and_other_documents(checked: Checked) -> None:
    other_key = checked(lic(), signer("issuer-uat"))
    assert other_key.returncode == 1
    assert b"no signature of the key" in other_key.stderr
    other_document = checked(signed_root(), signer("root-1"))
    assert other_document.returncode == 1
    assert b"not a license" in other_document.stderr
    for raw in (b"", lic()[:200], b"{}"):
        assert checked(raw).returncode != 0


def test_openssl_agrees_on_the_published_signed_bytes(tmp_path: Path) -> None:
    document = json.loads((PUBLISHED / "valid.lic").read_bytes())
    (tmp_path / "sig").write_bytes(b64decode(document["signatures"][0]["sig"]))
    key, message = str(PUBLISHED / "issuer-prod.pem"), str(PUBLISHED / "signed-bytes.bin")
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", message]
    subprocess.run([*command, "-sigfile", str(tmp_path / "sig")], capture_output=True, timeout=60, check=True)


NODE = """
const {readFileSync} = require("fs"), {createPublicKey, createHash, verify} = require("crypto")
const file = JSON.parse(readFileSync(process.argv[1])), key = createPublicKey(readFileSync(process.argv[2]))
const keyid = createHash("sha256").update(key.export({type: "spki", format: "der"})).digest("hex")
const payload = Buffer.from(file.payload, "base64"), type = Buffer.from(file.payloadType)
const message = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload])
const signature = Buffer.from(file.signatures.find(each => each.keyid === keyid).sig, "base64")
console.log(verify(null, message, key, signature))
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize(("name", "answer"), [("valid.lic", "true"), ("tampered.lic", "false")])
def test_node_agrees(name: str, answer: str) -> None:
    command = ["node", "-e", NODE, str(PUBLISHED / name), str(PUBLISHED / "issuer-prod.pem")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.strip() == answer


def test_securesystemslib_agrees() -> None:
    key = SSlibKey.from_crypto(load_der_public_key(signer("issuer-prod").public_key), signer("issuer-prod").keyid)
    oracle = OracleEnvelope.from_dict(json.loads((PUBLISHED / "valid.lic").read_bytes()))
    assert oracle.verify([key], 1).keys() == {key.keyid}
    assert sha256(oracle.payload).hexdigest() == sha256(encode_claims(CLAIMS)).hexdigest()
    tampered = OracleEnvelope.from_dict(json.loads((PUBLISHED / "tampered.lic").read_bytes()))
    with pytest.raises(VerificationError):
        tampered.verify([key], 1)
