"""Sign the ledger's heads with a key that its database does not hold: Ed25519 (RFC 8032)."""

from typing import TYPE_CHECKING

from tasks.contracts import LedgerHead
from tasks.errors import InvalidSettings
from tasks.settings import settings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign(head: LedgerHead) -> LedgerHead:
    """The head with this installation's signature; as it is where there is no key.

    Raises:
        InvalidSettings: The key is not one.
    """
    key = _key()
    if key is None:
        return head
    public = key.public_key().public_bytes_raw().hex()
    return head.model_copy(update={"public_key": public, "signature": key.sign(_content(head)).hex()})


def is_signed(head: LedgerHead) -> bool:
    """Whether this installation signed the head.

    Where there is no key to ask, a signature is held against the public key that the head itself names, and a
    head without one passes.

    Raises:
        InvalidSettings: The key is not one.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = _key()
    if key is None and not has_signature(head):
        return True
    try:
        named = bytes.fromhex(head.public_key or "")
        public = key.public_key() if key else Ed25519PublicKey.from_public_bytes(named)
        public.verify(bytes.fromhex(head.signature or ""), _content(head))
    except (InvalidSignature, ValueError):
        return False
    return True


def has_signature(head: LedgerHead) -> bool:
    """Whether anybody signed the head, or says so."""
    return bool(head.signature or head.public_key)


def sign_bytes(content: bytes) -> tuple[str, str] | None:
    """The public key, and the signature of any bytes, in hexadecimal digits; None where there is no key.

    Raises:
        InvalidSettings: The key is not one.
    """
    key = _key()
    return None if key is None else (key.public_key().public_bytes_raw().hex(), key.sign(content).hex())


def can_sign() -> bool:
    """Whether this process knows the key."""
    return bool(settings().ledger_key.get_secret_value())


def _content(head: LedgerHead) -> bytes:
    return f"perennial ledger head\n{head.sequence}\n{head.entry_hash}\n{head.at.isoformat()}".encode()


def _key() -> "Ed25519PrivateKey | None":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    digits = settings().ledger_key.get_secret_value()
    if not digits:
        return None
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(digits))
    except ValueError:
        raise InvalidSettings(
            "PERENNIAL_LEDGER_KEY is no Ed25519 private key: give 64 hexadecimal digits "
            "(`openssl rand -hex 32` makes one), and keep them where the ledger's database is not."
        ) from None
