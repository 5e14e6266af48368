"""Opens OpenPGP messages with the demo recipients' private keys, and says who signed them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from workflow.errors import Misconfigured
from workflow.openpgp_keys import PRIVATE, has_user_id, sequoia

if TYPE_CHECKING:
    from pysequoia import Cert, Tsk


@dataclass(frozen=True)
class OpenPGPKeys:
    """The recipients' private keys, and the public keys of those who are believed."""

    private: tuple["Tsk", ...] = field(repr=False)
    public: tuple["Cert", ...] = ()

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "OpenPGPKeys":
        """Armored files, each with one key. Raises Misconfigured for one that cannot be used, OpenPGPNotInstalled."""
        private, public = [], []
        for path in paths:
            try:
                data = path.read_bytes()
                if PRIVATE in data:
                    private.append(sequoia().Tsk.from_bytes(data))
                else:
                    public.append(sequoia().Cert.from_bytes(data))
            except (OSError, RuntimeError):
                raise Misconfigured(f"{path} can't be read. It must hold one OpenPGP key, armored.") from None
        return cls(tuple(private), tuple(public))

    def decrypt(self, message: bytes) -> "tuple[bytes, Cert | None] | None":
        """The content, and the key among `public` that signed it; None when no private key fits."""
        for each in self.private:
            try:
                content = sequoia().decrypt(message, each.decryptor()).bytes
            except RuntimeError:  # another recipient's, or damaged
                continue
            if content is not None:
                return content, self._signer_of(message, each)
        return None

    def _signer_of(self, message: bytes, key: "Tsk") -> "Cert | None":
        try:
            (signature, *_) = sequoia().decrypt(message, key.decryptor(), lambda _ids: list(self.public)).valid_sigs
        except (RuntimeError, ValueError):
            return None
        return next((each for each in self.public if each.fingerprint == signature.certificate), None)


def told_about(signer: "Cert | None", sender: str) -> tuple[bool, str]:
    """Whether `sender` signed, and a sentence about it."""
    if signer is None:
        return False, "Not signed by someone this inbox trusts."
    if not has_user_id(signer, sender):
        return False, f"Signed with an OpenPGP key that is not the sender's, {sender}."
    return True, f"Signed by {sender}."
