"""Three ways for a process to read its Secret.

``current()`` of each source returns a snapshot: the values of all keys, read together, and a revision. The
revision changes whenever the values may have changed. Call it each time a value is used. Or compare revisions
to know when to replace a connection pool.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class SecretUnavailable(Exception):
    """The Secret cannot be read. The message never contains a value or the answer of a server."""


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The values of one Secret at one time. ``repr`` omits them, so they do not appear in logs."""

    values: Mapping[str, bytes]
    revision: str

    def __getitem__(self, key: str) -> bytes:
        try:
            return self.values[key]
        except KeyError:
            raise SecretUnavailable(f"the Secret has no key {key}") from None

    def __repr__(self) -> str:
        return f"Snapshot(keys={sorted(self.values)}, revision={self.revision!r})"


class SecretSource(Protocol):
    def current(self) -> Snapshot:
        """Returns the latest Secret of this source. Raises SecretUnavailable if it never got one."""


class EnvironmentSource:
    """Environment variables. Their values never change while the process runs."""

    def __init__(self, names: Mapping[str, str], environ: Mapping[str, str]) -> None:
        """``names`` maps keys to variables, for example ``{"signing-key": "SIGNING_KEY"}``."""
        missing = sorted(variable for variable in names.values() if variable not in environ)
        if missing:
            raise SecretUnavailable(f"not set: {', '.join(missing)}")
        # Back to bytes, because a variable may contain bytes that are not UTF-8.
        values = {key: os.fsencode(environ[variable]) for key, variable in names.items()}
        self._snapshot = Snapshot(values, "environment")

    def current(self) -> Snapshot:
        return self._snapshot


class DirectorySource:
    """A mounted volume. Each call checks for an update, which costs one system call.

    The kubelet writes all keys into a new folder and then replaces the symbolic link ``..data`` to it. So a
    new link shows a change, and the keys in its folder belong together. Reading each key through the mounted
    path is not safe, because the link may change between two reads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._identity: tuple[int, int] | None = None
        self._snapshot: Snapshot | None = None

    def current(self) -> Snapshot:
        with self._lock:
            # The folder may be removed during the read. Then the second attempt reads a newer one.
            for attempt in (1, 2):
                try:
                    return self._read()
                except FileNotFoundError:
                    if attempt == 2:
                        break
            if self._snapshot is not None:
                return self._snapshot
            raise SecretUnavailable(f"no Secret is mounted at {self._path}")

    def _read(self) -> Snapshot:
        link = self._path / "..data"
        # Checks the link itself, because the kubelet replaces it with each update.
        status = os.stat(link, follow_symlinks=False)
        identity = (status.st_ino, status.st_mtime_ns)
        if self._snapshot is None or identity != self._identity:
            folder = self._path / os.readlink(link)
            values = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
            self._snapshot = Snapshot(values, folder.name)
            self._identity = identity
        return self._snapshot


class ApiSource:
    """The API server, with the pod's own service account. Caches the Secret for ``max_age`` seconds.

    When the API server is unreachable or denies access, the last snapshot stays in use, because a running
    service must not stop for that reason. Without a snapshot, ``current()`` fails.
    """

    def __init__(
        self,
        address: str,
        namespace: str,
        name: str,
        *,
        token_file: Path = SERVICE_ACCOUNT / "token",
        ca_file: Path = SERVICE_ACCOUNT / "ca.crt",
        max_age: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = f"{address}/api/v1/namespaces/{namespace}/secrets/{name}"
        self._secret = f"{namespace}/{name}"
        self._token_file = token_file
        # Verifies the server, so that the token goes only to the API server.
        self._tls = ssl.create_default_context(cafile=ca_file) if address.startswith("https:") else None
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._snapshot: Snapshot | None = None

    def current(self) -> Snapshot:
        with self._lock:
            if self._snapshot is not None and self._clock() - self._read_at < self._max_age:
                return self._snapshot
            try:
                self._snapshot = self._read()
            except SecretUnavailable:
                if self._snapshot is None:
                    raise
            self._read_at = self._clock()
            return self._snapshot

    def _read(self) -> Snapshot:
        # Reads the token each time, because the kubelet renews it before it expires.
        token = self._token_file.read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        request = urllib.request.Request(self._url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            raise SecretUnavailable(f"the API server answered {error.code} about {self._secret}") from None
        except (OSError, ValueError):
            raise SecretUnavailable(f"the API server did not answer about {self._secret}") from None
        values = {key: base64.b64decode(value) for key, value in body.get("data", {}).items()}
        return Snapshot(values, body["metadata"]["resourceVersion"])
