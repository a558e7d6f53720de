"""Encryption of both doors."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc


@dataclass(frozen=True)
class Tls:
    """Certificate and key of the gateway, and the authority of its clients, who need a certificate if there is one.

    Attributes:
        certificate: PEM file of the certificate with its chain.
        key: PEM file of its private key.
        client_ca: PEM file of the authorities that sign clients' certificates; None asks for none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None

    def for_uvicorn(self) -> dict[str, Any]:
        """Options of uvicorn's Config."""
        options: dict[str, Any] = {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}
        if self.client_ca:
            options |= {"ssl_ca_certs": str(self.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
        return options

    def for_grpc(self) -> grpc.ServerCredentials:
        """Credentials of a gRPC port."""
        pair = (self.key.read_bytes(), self.certificate.read_bytes())
        roots = self.client_ca.read_bytes() if self.client_ca else None
        return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)


def read_tls(certificate: str, key: str, client_ca: str) -> Tls | None:
    """Checks the files of the settings of the same names; None where they are empty.

    Raises:
        ValueError: a file is missing or is not what it should be; names the setting.
    """
    if not certificate and not key and not client_ca:
        return None
    if not certificate or not key:
        raise ValueError("tls_certificate and tls_key belong together: give both, or neither and no tls_client_ca")
    tls = Tls(Path(certificate), Path(key), Path(client_ca) if client_ca else None)
    for setting, file in (("tls_certificate", tls.certificate), ("tls_key", tls.key), ("tls_client_ca", tls.client_ca)):
        if file and not file.is_file():
            raise ValueError(f"{setting}: there is no file {file}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (ssl.SSLError, OSError):
        raise ValueError(f"tls_certificate {certificate} and tls_key {key} are not a certificate and its key") from None
    try:
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
    except (ssl.SSLError, OSError):
        raise ValueError(f"tls_client_ca: {client_ca} holds no certificates") from None
    return tls
