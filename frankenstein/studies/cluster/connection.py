"""How a scheduler is reached: its address, and the key without which nobody is listened to.

Dask runs whatever code reaches its ports. So every connection is TLS, both ends show a certificate
of the one key of this scheduler, and that key lies in a file that only its owner can read.
"""

import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from frankenstein.errors import FileError, UserError
from frankenstein.records import check_fields, read_json

_MODE = 0o600
_VALID = timedelta(days=365)
_SKEW = timedelta(days=1)  # between the clocks of two machines


@dataclass(frozen=True)
class Address:
    """Where a scheduler listens, and its key and certificate in PEM; None: as Dask is set up."""

    address: str  # such as tls://127.0.0.1:40123
    key: str | None = None
    certificate: str | None = None

    def security(self) -> Any:
        """What Dask connects and listens with."""
        from distributed.security import Security

        if self.key is None:
            return Security()
        both = {"cert": self.certificate, "key": self.key}
        roles = ("client", "scheduler", "worker")
        pairs = {f"tls_{role}_{what}": text for role in roles for what, text in both.items()}
        return Security(require_encryption=True, tls_ca_file=self.certificate, **pairs)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(urlsplit(self.address).hostname or "")

    def write(self, file: Path) -> None:
        """Write it for workers and clients, so that only the owner can read it."""
        new = file.with_name(f".{file.name}.{os.getpid()}")
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(vars(self), stream)
        os.replace(new, file)


def need_cluster(field: str) -> None:
    """Refuse what needs Dask where it is not installed.

    Raises:
        UserError: with the extra that is missing.
    """
    for library in ("distributed", "cryptography"):
        if find_spec(library) is None:
            raise UserError(
                f"‹{field}› needs {library}, which is not installed; get it by: "
                "pip install 'frankenstein-stitching[cluster]'"
            )


def has_cluster() -> bool:
    """Whether Dask is installed, and what makes its keys."""
    return all(find_spec(library) is not None for library in ("distributed", "cryptography"))


def read_address(file_or_address: str, insecure: bool = False, seconds: float = 0) -> Address:
    """Where a scheduler is: from the file that it wrote, or as said.

    A file that is not there yet is waited for, so many seconds.

    Raises:
        UserError: if there is no such file, others may read its key, or the scheduler is open to
            other machines without TLS and `insecure` does not say that this is meant.
    """
    if "://" in file_or_address:
        found = Address(file_or_address)
    else:
        found = _of_file(Path(file_or_address), seconds)
    encrypted = found.address.startswith("tls://")
    if not encrypted and not found.is_loopback and not insecure:
        raise UserError(
            f"the scheduler {found.address} is open to other machines without TLS, and whoever "
            "reaches it runs code as you; start it by `frankenstein scheduler`, or say ‹insecure›"
        )
    return found


def is_loopback(host: str) -> bool:
    """Whether a host is this machine for itself alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("10.0.0.4")
    (True, True, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def new_key() -> tuple[str, str]:
    """A fresh private key and a certificate that it signs itself, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "frankenstein study")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _of_file(file: Path, seconds: float) -> Address:
    until = time.monotonic() + seconds
    while not file.is_file():
        if time.monotonic() >= until:
            raise UserError(
                f"no file {file} of a scheduler; `frankenstein scheduler` writes it, or give an "
                "address such as tls://10.0.0.4:8786"
            )
        time.sleep(0.2)
    record = read_json(file)
    check_fields(record, {"address": str, "key": str | None, "certificate": str | None}, str(file))
    open_to = file.stat().st_mode & 0o077 if os.name == "posix" else 0
    if record.get("key") and open_to:
        raise FileError(f"{file} holds a key and others may read it; chmod 600 {file}")
    return Address(record["address"], record.get("key"), record.get("certificate"))
