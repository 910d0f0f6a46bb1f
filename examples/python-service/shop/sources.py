"""Three ways for a process to get at its Secret.

Each source answers ``current()`` with a snapshot: the values of all keys, read together, and a revision that
is another one whenever they may have changed. Ask for it each time a value is used, or compare revisions to
know when a pool of connections has to be made anew.
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
    """The Secret cannot be read. The message never holds a value, nor what a server answered."""


@dataclass(frozen=True, repr=False)
class Snapshot:
    """The values of one Secret at one time. They do not show in logs: there is no ``repr`` of them."""

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
        """The Secret as far as this source knows it now. Raises SecretUnavailable when it never got any."""


class EnvironmentSource:
    """Environment variables: what they were when the process started, for as long as it lives."""

    def __init__(self, names: Mapping[str, str], environ: Mapping[str, str]) -> None:
        """``names``: which variable holds which key, for example ``{"signing-key": "SIGNING_KEY"}``."""
        missing = sorted(variable for variable in names.values() if variable not in environ)
        if missing:
            raise SecretUnavailable(f"not set: {', '.join(missing)}")
        # As bytes again: a variable may hold bytes that are no UTF-8.
        values = {key: os.fsencode(environ[variable]) for key, variable in names.items()}
        self._snapshot = Snapshot(values, "environment")

    def current(self) -> Snapshot:
        return self._snapshot


class DirectorySource:
    """A mounted volume. Looks whether it was exchanged each time it is asked, which costs one system call.

    The kubelet writes all keys into a new folder and then renames a symbolic link to it, ``..data``. So the
    link tells of a change, and its folder has keys that belong together. Reading each key by its own path
    would not do: the link may move between two of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._identity: tuple[int, int] | None = None
        self._snapshot: Snapshot | None = None

    def current(self) -> Snapshot:
        with self._lock:
            # Twice at most: the folder that was begun with may be gone, and then there is a newer one.
            for attempt in (1, 2):
                try:
                    return self._look()
                except FileNotFoundError:
                    if attempt == 2:
                        break
            if self._snapshot is not None:
                return self._snapshot
            raise SecretUnavailable(f"no Secret is mounted at {self._path}")

    def _look(self) -> Snapshot:
        link = self._path / "..data"
        # Not followed: what counts is when the link itself was put there.
        status = os.stat(link, follow_symlinks=False)
        identity = (status.st_ino, status.st_mtime_ns)
        if self._snapshot is None or identity != self._identity:
            folder = self._path / os.readlink(link)
            values = {file.name: file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file()}
            self._snapshot = Snapshot(values, folder.name)
            self._identity = identity
        return self._snapshot


class ApiSource:
    """The API server, asked as this pod's own service account. Keeps an answer for ``max_age`` seconds.

    When the API server cannot be reached, or says that we may not read any more, what was read last stays in
    use: a service that runs must not stop because of that. At the start there is nothing to go on with, so it
    fails.
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
        self._what = f"{namespace}/{name}"
        self._token_file = token_file
        # One that verifies the server: the token goes to nobody else.
        self._tls = ssl.create_default_context(cafile=ca_file) if address.startswith("https:") else None
        self._max_age = max_age
        self._clock = clock
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self._snapshot: Snapshot | None = None

    def current(self) -> Snapshot:
        with self._lock:
            if self._snapshot is not None and self._clock() - self._asked < self._max_age:
                return self._snapshot
            try:
                self._snapshot = self._read()
            except SecretUnavailable:
                if self._snapshot is None:
                    raise
            self._asked = self._clock()
            return self._snapshot

    def _read(self) -> Snapshot:
        # Read each time: the kubelet renews the token long before it ends.
        token = self._token_file.read_text(encoding="ascii").strip()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        request = urllib.request.Request(self._url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            raise SecretUnavailable(f"the API server answered {error.code} about {self._what}") from None
        except (OSError, ValueError):
            raise SecretUnavailable(f"the API server did not answer about {self._what}") from None
        values = {key: base64.b64decode(value) for key, value in body.get("data", {}).items()}
        return Snapshot(values, body["metadata"]["resourceVersion"])
