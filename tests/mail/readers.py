"""Other people's mail programs, as an administrator uses them: each decrypts a message and checks who signed it."""

import email
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, pkcs12
from pysequoia.packet import Packet, PacketPile, Tag

from tests.servers import NotHere
from workflow.mail.demo_keys import key_pem


class Refused(Exception):
    """The program did not open the message, or did not believe its signature; the text is what it said."""


class Reader(Protocol):
    """One program with its keys."""

    def opened(self, message: bytes) -> EmailMessage:
        """What was signed, after it was decrypted (if it was encrypted) and its signature was found good. Raises Refused."""


def parsed(raw: bytes) -> EmailMessage:
    """A message, or a part of one, as the standard library reads it."""
    message = email.message_from_bytes(raw, policy=SMTP)
    assert isinstance(message, EmailMessage)
    return message


@dataclass(frozen=True)
class Openssl:
    """`openssl cms`, with one recipient's certificate and key in one file, and the authority that it believes."""

    home: Path
    authority: Path
    key: Path | None = None

    def opened(self, message: bytes) -> EmailMessage:
        """See Reader."""
        entity = message
        if parsed(message).get_content_type() == "application/pkcs7-mime":
            assert self.key is not None
            entity = self.run("-decrypt", "-inkey", str(self.key), "-recip", str(self.key), said=message)
        return parsed(self.run("-verify", "-CAfile", str(self.authority), "-purpose", "smimesign", said=entity))

    def run(self, *arguments: str, said: bytes) -> bytes:
        """What it writes. Raises Refused."""
        given = self.home / "given.eml"
        given.write_bytes(said)
        done = subprocess.run(["openssl", "cms", *arguments, "-in", str(given)], capture_output=True, timeout=60, check=False)
        if done.returncode:
            raise Refused(done.stderr.decode())
        return done.stdout


@dataclass(frozen=True)
class Gnupg:
    """A home of GnuPG of its own, shared by gpg and gpgsm: its agent holds private keys for both."""

    home: Path

    def run(self, program: str, *arguments: str, said: bytes = b"") -> bytes:
        """What it writes. Raises Refused."""
        done = self._run(program, arguments, said)
        if done.returncode:
            raise Refused(done.stderr.decode(errors="replace"))
        return done.stdout

    def told(self, program: str, *arguments: str, said: bytes = b"") -> str:
        """What it says about its work, for programs. Raises Refused."""
        done = self._run(program, ("--status-fd", "2", *arguments), said)
        if done.returncode:
            raise Refused(done.stderr.decode(errors="replace"))
        return done.stderr.decode(errors="replace")

    def _run(self, program: str, arguments: tuple[str, ...], said: bytes) -> "subprocess.CompletedProcess[bytes]":
        common = [program, "--homedir", str(self.home), "--batch", "--no-tty", "--pinentry-mode", "loopback"]
        secret = ["--passphrase", ""] if program == "gpg" else []
        return subprocess.run([*common, *secret, *arguments], input=said, capture_output=True, timeout=60, check=False)

    def add_key(self, user_id: str, primary: str, subkey: str) -> bytes:
        """A new OpenPGP key; returns its public half, armored."""
        self.run("gpg", "--quick-gen-key", user_id, primary, "sign", "0")
        listed = self.run("gpg", "--list-keys", "--with-colons", user_id).decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        self.run("gpg", "--quick-add-key", fingerprint, subkey, "encrypt", "0")
        return self.run("gpg", "--armor", "--export", fingerprint)

    def add_curve_key(self, curve: ec.EllipticCurve, name: str) -> ec.EllipticCurvePrivateKey:
        """A new key on a curve for gpgsm. It is made by gpg, since gpgsm 2.2 cannot take one in (it ends with a fault)."""
        public = self.add_key(f"{name} <{name}@x.example>", name, name)
        primary = next(iter(PacketPile.from_bytes(public))).fingerprint
        assert primary is not None
        secret = self.run("gpg", "--export-secret-subkeys", primary)
        (subkey,) = (each for each in PacketPile.from_bytes(secret) if each.tag == Tag.SecretSubkey)
        return ec.derive_private_key(_secret_number(subkey), curve)

    def add_certificate(self, certificate: x509.Certificate) -> None:
        """A certificate for gpgsm."""
        self.run("gpgsm", "--import", said=certificate.public_bytes(Encoding.DER))

    def add_rsa(self, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
        """A certificate for gpgsm with its key."""
        locked = (  # the old ciphers that gpgsm 2.2 reads
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(2048)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())
            .build(PASSPHRASE)
        )
        file = self.home / "key.p12"
        file.write_bytes(pkcs12.serialize_key_and_certificates(None, key, certificate, [], locked))
        self.run("gpgsm", "--passphrase-fd", "0", "--import", str(file), said=PASSPHRASE)

    def decrypted_by_gpgsm(self, content: bytes) -> bytes:
        """What was encrypted to one of its keys. Raises Refused."""
        file = self.home / "sealed"
        file.write_bytes(content)
        return self.run("gpgsm", "--passphrase-fd", "0", "--decrypt", str(file), said=PASSPHRASE)


PASSPHRASE = b"open"
"""of keys that gpgsm took in"""


def _secret_number(packet: Packet) -> int:
    """The private number of an unprotected ECDH key (RFC 9580, 5.5.3): after the public half comes a zero, then the number."""
    material = packet.body[6:]
    material = material[1 + material[0] :]  # the curve
    material = material[2 + (int.from_bytes(material[:2], "big") + 7) // 8 :]  # the public point
    material = material[1 + material[0] :]  # how the shared secret becomes a key
    assert material[0] == 0
    bits = int.from_bytes(material[1:3], "big")
    return int.from_bytes(material[3 : 3 + (bits + 7) // 8], "big")


@dataclass(frozen=True)
class Gpgsm:
    """`gpgsm`, for S/MIME."""

    gnupg: Gnupg
    signer: str
    """the mail address that has to be the signer's"""

    def opened(self, message: bytes) -> EmailMessage:
        """See Reader."""
        entity, outer = message, parsed(message)
        if outer.get_content_type() == "application/pkcs7-mime":
            content = outer.get_payload(decode=True)
            assert isinstance(content, bytes)
            entity = self.gnupg.decrypted_by_gpgsm(content)
        signed, signature = parts_of_signed(entity)
        (self.gnupg.home / "signed").write_bytes(signed)
        (self.gnupg.home / "signature").write_bytes(signature)
        names = [str(self.gnupg.home / name) for name in ("signature", "signed")]
        said = self.gnupg.told("gpgsm", "--verify", *names)
        if "[GNUPG:] GOODSIG" not in said or "[GNUPG:] TRUST_FULLY" not in said or f'"{self.signer}"' not in said:
            raise Refused(said)
        return parsed(signed)


@dataclass(frozen=True)
class Gpg:
    """`gpg`, for OpenPGP."""

    gnupg: Gnupg
    signer: str
    """the fingerprint of the key that has to be the signer's"""

    def opened(self, message: bytes) -> EmailMessage:
        """See Reader."""
        outer = parsed(message)
        assert outer.get_content_type() == "multipart/encrypted"
        assert outer.get_param("protocol") == "application/pgp-encrypted"
        control, sealed = outer.iter_parts()
        assert control.get_content_type() == "application/pgp-encrypted"
        assert control.get_payload(decode=True) == b"Version: 1\r\n"
        content = sealed.get_payload(decode=True)
        assert isinstance(content, bytes)
        said = self.gnupg.told("gpg", "--yes", "--output", str(self.gnupg.home / "opened"), "--decrypt", said=content)
        valid = re.search(r"\[GNUPG:\] VALIDSIG .* ([0-9A-F]{40})$", said, re.MULTILINE)
        if "[GNUPG:] GOODMDC" not in said or valid is None or valid[1].lower() != self.signer:
            raise Refused(said)
        return parsed((self.gnupg.home / "opened").read_bytes())


def parts_of_signed(entity: bytes) -> tuple[bytes, bytes]:
    """The exact bytes that were signed, and the signature, of a multipart/signed entity (RFC 1847)."""
    message = parsed(entity)
    assert message.get_content_type() == "multipart/signed"
    _, first, _ = entity.split(b"--" + str(message.get_boundary()).encode(), 2)
    signature = list(message.iter_parts())[1].get_payload(decode=True)
    assert isinstance(signature, bytes)
    return first.removeprefix(b"\r\n").removesuffix(b"\r\n"), signature


@contextmanager
def gnupg_home(authority: x509.Certificate, desk_key: bytes) -> Iterator[Gnupg]:
    """A new home that believes the mail authority, and knows the desk's OpenPGP key. Raises NotHere."""
    for program in ("gpg", "gpgsm", "gpg-agent"):
        if shutil.which(program) is None:
            raise NotHere(f"{program} is not installed (on Debian and Ubuntu: apt-get install gpg gpg-agent gpgsm)")
    home = Path(tempfile.mkdtemp(prefix="lg"))  # its name is short: the agent's socket lies in it
    os.chmod(home, 0o700)
    gnupg = Gnupg(home)
    try:
        fingerprint = authority.fingerprint(hashes.SHA1()).hex().upper()
        (home / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
        (home / "gpgsm.conf").write_text("disable-crl-checks\ndisable-policy-checks\n")
        gnupg.add_certificate(authority)
        gnupg.run("gpg", "--import", said=desk_key)
        yield gnupg
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], capture_output=True, check=False)
        shutil.rmtree(home, ignore_errors=True)


def with_key(certificate: x509.Certificate, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """What `openssl cms` takes as a recipient: certificate and key, PEM."""
    return certificate.public_bytes(Encoding.PEM) + key_pem(key)


def gpgsm_version() -> tuple[int, ...]:
    """For what older ones cannot do; empty where there is none."""
    if shutil.which("gpgsm") is None:
        return ()
    said = subprocess.run(["gpgsm", "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    assert found, said
    return tuple(map(int, found.groups()))
