"""Decrypts an S/MIME envelope whose key was agreed on with an elliptic curve (RFC 5753).

`cryptography` opens envelopes of RSA recipients alone. The inbox is a stand-in for a mail program; nothing in the product
relies on what it opens.
"""

from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from cryptography.hazmat.primitives.padding import PKCS7

from workflow.mail.cms import KEY_BYTES, SHARED_INFO


def decrypt_agreed(enveloped: bytes, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The content, for the owner of the certificate and its key. Raises ValueError for what is another's, or is damaged."""
    try:
        data = cms.ContentInfo.load(enveloped, strict=True)["content"]
        (recipient,) = (each.chosen for each in data["recipient_infos"] if each.name == "kari")
        (wrapped,) = (
            each["encrypted_key"].native
            for each in recipient["recipient_encrypted_keys"]
            if each["rid"].chosen["serial_number"].native == certificate.serial_number
        )
        point = recipient["originator"].chosen["public_key"].native
        sealed = data["encrypted_content_info"]["encrypted_content"].native
        first_block = data["encrypted_content_info"]["content_encryption_algorithm"]["parameters"].native
        secret = key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point))
        content_key = aes_key_unwrap(X963KDF(hashes.SHA256(), KEY_BYTES, SHARED_INFO).derive(secret), wrapped)
        cipher = Cipher(AES256(content_key), CBC(first_block)).decryptor()
        padding = PKCS7(AES256.block_size).unpadder()
        return padding.update(cipher.update(sealed) + cipher.finalize()) + padding.finalize()
    except (KeyError, TypeError, AttributeError, InvalidUnwrap) as error:  # what asn1crypto says to damaged containers
        raise ValueError("not an envelope for this key") from error
