"""Signs messages.

``POST /sign`` returns the HMAC-SHA-256 of the body under the key ``signing-key`` of the Secret. The answer
does not reveal the key. ``GET /healthz`` returns 200 while there is a key. ``GET /revision`` returns the
current revision of the Secret.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import signal
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from shop.sources import (
    SERVICE_ACCOUNT,
    ApiSource,
    DirectorySource,
    EnvironmentSource,
    SecretSource,
    SecretUnavailable,
)

KEY = "signing-key"
MAX_BODY_BYTES = 1024 * 1024


def open_source(environ: Mapping[str, str]) -> SecretSource:
    """Returns the source for ``SECRET_FROM``: ``environment``, ``files`` or ``api``."""
    kind = environ.get("SECRET_FROM", "environment")
    if kind == "environment":
        return EnvironmentSource({KEY: "SIGNING_KEY"}, environ)
    if kind == "files":
        return DirectorySource(Path(environ.get("SECRET_DIRECTORY", "/etc/shop-signing")))
    if kind == "api":
        host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
        folder = Path(environ.get("SERVICE_ACCOUNT_DIRECTORY", SERVICE_ACCOUNT))
        return ApiSource(
            f"https://{f'[{host}]' if ':' in host else host}:{port}",
            environ["SECRET_NAMESPACE"],
            environ["SECRET_NAME"],
            token_file=folder / "token",
            ca_file=folder / "ca.crt",
            max_age=float(environ.get("SECRET_MAX_AGE", "30")),
        )
    raise SystemExit(f"SECRET_FROM must be environment, files or api, not {kind}")


def sign(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path not in ("/healthz", "/revision"):
            return self._answer(404, {"error": "not found"})
        try:
            snapshot = self.server.source.current()
        except SecretUnavailable as error:
            return self._answer(503, {"error": str(error)})
        self._answer(200, {"revision": snapshot.revision} if self.path == "/revision" else {"ok": True})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/sign" or not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return self._answer(400, {"error": "POST /sign with a body of at most 1 MiB"})
        message = self.rfile.read(int(length))
        try:
            key = self.server.source.current()[KEY]
        except SecretUnavailable as error:
            return self._answer(503, {"error": str(error)})
        self._answer(200, {"signature": sign(key, message)})

    def _answer(self, status: int, body: Mapping[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing, because probes arrive every few seconds."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], source: SecretSource) -> None:
        self.source = source
        super().__init__(address, Handler)


def main(environ: Mapping[str, str]) -> int:
    try:
        source = open_source(environ)
        source.current()
    except SecretUnavailable as error:
        # Exits instead of serving without a key. The kubelet restarts it until there is one.
        print(f"shop: {error}", file=sys.stderr)
        return 1
    address = (environ.get("HOST", "0.0.0.0"), int(environ.get("PORT", "8000")))
    with Server(address, source) as server:
        print(f"shop: listening on port {server.server_port}", flush=True)
        # The first process of a container has no default handler. It would be killed after the grace period.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
