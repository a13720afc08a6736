"""Image contents: kept once, whole, unchangeable, without what must not be in them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from include.errors import RefusedError
from include.localcloud.images import BASE_IMAGE, ContentStore


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path / "images")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "opt/app").mkdir(parents=True)
    (root / "opt/app/run").write_text("#!/bin/sh\n")
    (root / "opt/app/run").chmod(0o755)
    (root / "opt/link").symlink_to("app/run")
    (root / "var/log").mkdir(parents=True)
    (root / "var/log/console.log").write_text("noise")
    (root / "run").mkdir()
    os.mkfifo(root / "run.pipe")
    return root


def test_the_same_files_are_kept_once_whatever_their_times(store: ContentStore, tree: Path) -> None:
    first = store.add_tree(tree)
    os.utime(tree / "opt/app/run", (1, 1))
    assert store.add_tree(tree) == first
    (tree / "opt/app/run").chmod(0o644)
    assert store.add_tree(tree) != first, "what is executable is part of the content"


def test_a_copy_is_the_machine_s_own(store: ContentStore, tree: Path, tmp_path: Path) -> None:
    content_id = store.add_tree(tree)
    store.copy_to(content_id, tmp_path / "copy")
    copied = tmp_path / "copy/opt/app/run"
    assert os.access(copied, os.X_OK)
    assert (tmp_path / "copy/opt/link").readlink() == Path("app/run")
    copied.write_text("changed")
    assert (store.path(content_id) / "opt/app/run").read_text() == "#!/bin/sh\n"
    assert store.add_tree(tree) == content_id


def test_left_out_paths_and_pipes_are_not_in_it(store: ContentStore, tree: Path) -> None:
    content = store.path(store.add_tree(tree, without=("run", "var/log")))
    assert sorted(str(path.relative_to(content)) for path in content.rglob("*")) == [
        "opt",
        "opt/app",
        "opt/app/run",
        "opt/link",
        "var",
    ]


def test_an_interrupted_copy_is_never_a_content(tree: Path, tmp_path: Path) -> None:
    half = tmp_path / "images/.staging-1"
    half.mkdir(parents=True)
    store = ContentStore(tmp_path / "images")
    assert not half.exists()
    (tree / "secret").mkdir()
    with pytest.raises(RefusedError, match="not a folder"):
        store.add_tree(tree / "nowhere")
    assert list((tmp_path / "images").iterdir()) == []
    assert not store.has("")


def test_the_base_image_has_what_a_build_and_an_sbom_need(store: ContentStore) -> None:
    content_id = store.base_content()
    assert content_id == store.base_content()
    content = store.path(content_id)
    packages = re.findall(r"^Package: (\S+)$", (content / "var/lib/dpkg/status").read_text(), re.MULTILINE)
    assert {"libc6", "openssl", "python3.11"} < set(packages)
    assert 30 < len(packages) == len(set(packages))
    assert "bookworm" in (content / "etc/os-release").read_text()
    for name in ("init", "shutdown", "poweroff", "halt", "reboot"):
        assert os.access(BASE_IMAGE / "sbin" / name, os.X_OK)


@pytest.mark.parametrize("arguments", [("-r", "now"), ("+5",), ("-h", "now")])
def test_shutdown_outside_a_running_instance_does_nothing(arguments: tuple[str, ...], tmp_path: Path) -> None:
    command = [str(BASE_IMAGE / "sbin/shutdown"), *arguments]
    result = subprocess.run(command, env={"INSTANCE_ROOT": str(tmp_path)}, capture_output=True, text=True, timeout=5)
    assert result.returncode == 1
    assert result.stderr.startswith("shutdown:")
