"""The builder's user data, really run in a folder of its own."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.bake import Artifact, ImageRecipe, builder_script
from include.errors import RefusedError

RECIPE = ImageRecipe("api", "1.4.2", "0123456789abcdef", "tree", 'it\'s "prod" $HOME', "ami-base", "run-7")


class Store(http.server.ThreadingHTTPServer):
    """GET gives what is stored, PUT stores: all that a presigned address can do."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StoreHandler)
        self.objects: dict[str, bytes] = {}
        self.is_stuck = False
        self.released = threading.Event()

    def url(self, key: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{key}?X-Amz-Signature=a%2Fb&X-Amz-Date=1"


class StoreHandler(http.server.BaseHTTPRequestHandler):
    server: Store

    def do_GET(self) -> None:
        if self.server.is_stuck:
            self.server.released.wait(30)
        body = self.server.objects.get(self.path.split("?")[0][1:])
        self.send_response(200 if body is not None else 404)
        self.end_headers()
        self.wfile.write(body or b"")

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.objects[self.path.split("?")[0][1:]] = self.rfile.read(length)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def store() -> Iterator[Store]:
    server = Store()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        entry = tarfile.TarInfo("opt/app/run")
        content = b"#!/bin/sh\necho hello\n"
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def run_script(store: Store, root: Path, sha256: str, **options: int) -> tuple[subprocess.CompletedProcess[str], dict]:
    tools = root / "sbin"
    tools.mkdir(parents=True)
    (tools / "shutdown").write_text(f'#!/bin/sh\necho "$@" > "{root}/switched-off"\n')
    (tools / "shutdown").chmod(0o755)
    script = builder_script(RECIPE, Artifact(store.url("a.tar.gz"), sha256), store.url("result.json"), **options)
    path = f"{Path(sys.executable).parent}:{tools}:{os.environ['PATH']}"
    environment = {"PATH": path, "INSTANCE_ROOT": str(root)}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (root / "switched-off").read_text() == "-h now\n", done
    return done, json.loads(store.objects["result.json"])


def test_the_builder_unpacks_notes_reports_and_switches_off(store: Store, tmp_path: Path) -> None:
    store.objects["a.tar.gz"] = archive()
    root = tmp_path / "a machine"
    done, result = run_script(store, root, hashlib.sha256(archive()).hexdigest())
    assert done.returncode == 0, done.stderr
    assert result == {"ok": True, "reason": ""}
    assert os.access(root / "opt/app/run", os.X_OK)
    assert json.loads((root / "etc/redstart/image.json").read_text()) == RECIPE.document


def test_a_wrong_checksum_is_reported_and_leaves_no_marker(store: Store, tmp_path: Path) -> None:
    store.objects["a.tar.gz"] = archive()
    done, result = run_script(store, tmp_path / "m", "0" * 64)
    assert done.returncode != 0
    assert not result["ok"] and "sha256" in result["reason"] and result["reason"] in done.stdout
    assert not (tmp_path / "m/etc/redstart/image.json").exists()
    assert not (tmp_path / "m/opt").exists()


def test_a_missing_artifact_is_reported(store: Store, tmp_path: Path) -> None:
    _, result = run_script(store, tmp_path / "m", "0" * 64)
    assert not result["ok"] and "404" in result["reason"]


def test_an_artifact_that_is_no_archive_is_reported(store: Store, tmp_path: Path) -> None:
    store.objects["a.tar.gz"] = b"not an archive"
    _, result = run_script(store, tmp_path / "m", hashlib.sha256(b"not an archive").hexdigest())
    assert not result["ok"] and "unpack" in result["reason"]


def test_a_download_that_never_ends_is_given_up(store: Store, tmp_path: Path) -> None:
    store.is_stuck = True
    _, result = run_script(store, tmp_path / "m", "0" * 64, limit_seconds=1)
    assert not result["ok"] and "within 1 s" in result["reason"]


def test_user_data_that_aws_would_not_take_is_refused() -> None:
    with pytest.raises(RefusedError, match="16384 bytes"):
        builder_script(RECIPE, Artifact("http://x/" + "a" * 17_000, "0" * 64), "http://x")


def test_the_name_of_an_image_is_one_that_aws_takes() -> None:
    assert RECIPE.name == "api-1.4.2-0123456789ab"
    assert ImageRecipe("api", "1.0+dirty", "f" * 40, "", "", "").name == "api-1.0_dirty-ffffffffffff"
