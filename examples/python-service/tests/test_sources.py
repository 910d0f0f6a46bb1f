from __future__ import annotations

import base64
import json
import tempfile
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from shop.sources import ApiSource, DirectorySource, EnvironmentSource, SecretUnavailable, Snapshot
from tests.mounted import MountedSecret


class SnapshotTest(unittest.TestCase):
    def test_shows_no_value(self) -> None:
        snapshot = Snapshot({"signing-key": b"hidden"}, "1")
        self.assertNotIn("hidden", f"{snapshot} {snapshot!r}")

    def test_names_a_missing_key(self) -> None:
        with self.assertRaisesRegex(SecretUnavailable, "no key other"):
            Snapshot({}, "1")["other"]


class EnvironmentSourceTest(unittest.TestCase):
    def test_keeps_the_values_of_the_start(self) -> None:
        environ = {"SIGNING_KEY": "first"}
        source = EnvironmentSource({"signing-key": "SIGNING_KEY"}, environ)
        environ["SIGNING_KEY"] = "second"
        self.assertEqual(source.current()["signing-key"], b"first")

    def test_fails_when_a_variable_is_not_set(self) -> None:
        with self.assertRaisesRegex(SecretUnavailable, "not set: SIGNING_KEY"):
            EnvironmentSource({"signing-key": "SIGNING_KEY"}, {})


class DirectorySourceTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name)

    def test_reads_bytes_unchanged(self) -> None:
        MountedSecret(self.path, {"signing-key": b"\x00\xff\n"})
        self.assertEqual(DirectorySource(self.path).current()["signing-key"], b"\x00\xff\n")

    def test_returns_the_new_content_after_an_update(self) -> None:
        mounted = MountedSecret(self.path, {"user": b"a", "password": b"of a"})
        source = DirectorySource(self.path)
        before = source.current()
        mounted.exchange({"user": b"b", "password": b"of b"})
        after = source.current()
        self.assertEqual(dict(before.values), {"user": b"a", "password": b"of a"})
        self.assertEqual(dict(after.values), {"user": b"b", "password": b"of b"})
        self.assertNotEqual(before.revision, after.revision)

    def test_reads_files_once_while_the_link_is_unchanged(self) -> None:
        MountedSecret(self.path, {"signing-key": b"first"})
        source = DirectorySource(self.path)
        self.assertIs(source.current(), source.current())

    def test_keeps_its_snapshot_when_the_volume_disappears(self) -> None:
        MountedSecret(self.path, {"signing-key": b"first"})
        source = DirectorySource(self.path)
        source.current()
        (self.path / "..data").unlink()
        self.assertEqual(source.current()["signing-key"], b"first")

    def test_fails_without_a_mounted_secret(self) -> None:
        with self.assertRaisesRegex(SecretUnavailable, "no Secret is mounted"):
            DirectorySource(self.path).current()

    def test_never_mixes_two_updates(self) -> None:
        mounted = MountedSecret(self.path, {"user": b"0", "password": b"0"})
        source = DirectorySource(self.path)
        done = threading.Event()
        mixed: list[Snapshot] = []

        def read() -> None:
            while not done.is_set():
                snapshot = source.current()
                if snapshot["user"] != snapshot["password"]:
                    mixed.append(snapshot)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(1, 60):
            value = str(number).encode()
            mounted.exchange({"user": value, "password": value})
        done.set()
        for reader in readers:
            reader.join()
        self.assertEqual(mixed, [])
        self.assertEqual(source.current()["user"], b"59")


class ApiServer:
    """A fake API server that accepts one token."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.value = b"first"
        self.version = 1
        self.requests = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                is_allowed = self.headers["Authorization"] == f"Bearer {outer.token}"
                is_secret = self.path == "/api/v1/namespaces/shop/secrets/shop-signing"
                status = 200 if is_allowed and is_secret else 403
                body = outer.secret() if status == 200 else {"message": "forbidden s3cret"}
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def secret(self) -> dict[str, object]:
        data = {"signing-key": base64.b64encode(self.value).decode()}
        return {"metadata": {"resourceVersion": str(self.version)}, "data": data}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class ApiSourceTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.token_file = Path(folder.name) / "token"
        self.token_file.write_text("token-1\n")
        self.server = ApiServer("token-1")
        self.addCleanup(self.server.close)
        self.now = 0.0

    def source(self, name: str = "shop-signing") -> ApiSource:
        return ApiSource(
            self.server.address,
            "shop",
            name,
            token_file=self.token_file,
            max_age=30,
            clock=lambda: self.now,
        )

    def test_caches_its_secret_for_max_age(self) -> None:
        source = self.source()
        self.assertEqual(source.current()["signing-key"], b"first")
        self.server.value, self.server.version = b"second", 2
        self.now = 29
        self.assertEqual(source.current()["signing-key"], b"first")
        self.now = 30
        self.assertEqual(source.current()["signing-key"], b"second")
        self.assertEqual(self.server.requests, 2)

    def test_uses_a_renewed_token(self) -> None:
        source = self.source()
        source.current()
        self.server.token = "token-2"
        self.token_file.write_text("token-2\n")
        self.server.value, self.now = b"second", 31
        self.assertEqual(source.current()["signing-key"], b"second")

    def test_fails_at_the_start_without_quoting_the_answer(self) -> None:
        with self.assertRaisesRegex(SecretUnavailable, "answered 403 about shop/other") as raised:
            self.source("other").current()
        self.assertNotIn("s3cret", str(raised.exception))

    def test_keeps_its_snapshot_when_access_is_denied_later(self) -> None:
        source = self.source()
        source.current()
        self.server.token, self.now = "another", 31
        self.assertEqual(source.current()["signing-key"], b"first")


if __name__ == "__main__":
    unittest.main()
