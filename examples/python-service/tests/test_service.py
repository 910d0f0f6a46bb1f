from __future__ import annotations

import contextlib
import io
import json
import threading
import unittest
import urllib.error
import urllib.request

from shop.service import Server, main, open_source, sign
from shop.sources import SecretSource, SecretUnavailable, Snapshot


class FakeSource:
    """A source with a value that the test sets."""

    def __init__(self, value: bytes | None) -> None:
        self.value = value

    def current(self) -> Snapshot:
        if self.value is None:
            raise SecretUnavailable("no Secret")
        return Snapshot({"signing-key": self.value}, "7")


class ServiceTest(unittest.TestCase):
    def serve(self, source: SecretSource) -> str:
        server = Server(("127.0.0.1", 0), source)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self.addCleanup(stop)
        return f"http://127.0.0.1:{server.server_port}"

    def send(self, url: str, body: bytes | None = None) -> tuple[int, dict[str, object]]:
        try:
            with urllib.request.urlopen(url, data=body) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_signs_with_the_current_key(self) -> None:
        source = FakeSource(b"first")
        address = self.serve(source)
        self.assertEqual(
            self.send(f"{address}/sign", b"hello"), (200, {"signature": sign(b"first", b"hello")})
        )
        source.value = b"second"
        self.assertEqual(
            self.send(f"{address}/sign", b"hello"), (200, {"signature": sign(b"second", b"hello")})
        )
        self.assertEqual(self.send(f"{address}/revision"), (200, {"revision": "7"}))

    def test_is_unhealthy_without_a_key(self) -> None:
        address = self.serve(FakeSource(None))
        self.assertEqual(self.send(f"{address}/healthz"), (503, {"error": "no Secret"}))
        self.assertEqual(self.send(f"{address}/sign", b"x"), (503, {"error": "no Secret"}))

    def test_rejects_unknown_paths(self) -> None:
        address = self.serve(FakeSource(b"first"))
        self.assertEqual(self.send(f"{address}/signing-key")[0], 404)
        self.assertEqual(self.send(f"{address}/elsewhere", b"x")[0], 400)

    def test_exits_without_its_secret(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()) as written:
            self.assertEqual(main({"SECRET_FROM": "environment"}), 1)
        self.assertEqual(written.getvalue(), "shop: not set: SIGNING_KEY\n")

    def test_rejects_an_unknown_source(self) -> None:
        with self.assertRaisesRegex(SystemExit, "environment, files or api"):
            open_source({"SECRET_FROM": "elsewhere"})


if __name__ == "__main__":
    unittest.main()
