"""Makes the public keys in tests/mail/openpgp with gpg 2.2: `python -m tests.mail.make_openpgp_keys`.

They are what the library that the desk uses cannot make, or will not. All are of 1 January 2024, and of Zhang Wei.
"""

import os
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "openpgp"
MADE_AT = "20240101T000000"
USER = "Zhang Wei <wei.zhang@harbourline.example>"


def main() -> None:
    """Writes every file anew, with new keys in it."""
    HERE.mkdir(exist_ok=True)
    write("ended-subkey", primary="rsa3072", subkeys=[("rsa3072", "2024-02-01")])
    write("renewed-subkey", primary="rsa3072", subkeys=[("rsa3072", "2024-02-01"), ("cv25519", "0")])
    write("revoked-subkey", primary="ed25519", subkeys=[("cv25519", "0")], edit="key 1\nrevkey\ny\n1\n\ny\nsave\n")
    write("dsa", primary="dsa2048", subkeys=[("elg2048", "0")])
    write("elgamal-subkey", primary="ed25519", subkeys=[("elg2048", "0")])
    write("short-rsa", primary="rsa1024", subkeys=[("rsa1024", "0")])
    write("short-rsa-subkey", primary="rsa3072", subkeys=[("rsa1024", "0")])
    write("signed-with-sha1", primary="rsa3072", subkeys=[("rsa3072", "0")], options=("--cert-digest-algo", "SHA1"))


def write(name: str, *, primary: str, subkeys: list[tuple[str, str]], edit: str = "", options: tuple[str, ...] = ()) -> None:
    """One public key, ASCII-armored."""
    with tempfile.TemporaryDirectory(prefix="k") as home:  # short: gpg-agent's socket lies in it
        os.chmod(home, 0o700)
        common = ["gpg", "--homedir", home, "--no-tty", "--faked-system-time", MADE_AT, "--pinentry-mode", "loopback"]
        common += ["--passphrase", "", "--no-emit-version", *options]

        def gpg(*arguments: str, batch: bool = True, said: str = "") -> bytes:
            command = [*common, *(["--batch"] if batch else []), *arguments]
            return subprocess.run(command, input=said.encode(), capture_output=True, check=True).stdout

        gpg("--quick-gen-key", USER, primary, "sign", "0")
        listed = gpg("--list-keys", "--with-colons").decode().splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        for kind, ends in subkeys:
            gpg("--quick-add-key", fingerprint, kind, "encrypt", ends)
        if edit:
            gpg("--command-fd", "0", "--edit-key", fingerprint, batch=False, said=edit)
        (HERE / f"{name}.asc").write_bytes(gpg("--armor", "--export", fingerprint))
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


if __name__ == "__main__":
    main()
