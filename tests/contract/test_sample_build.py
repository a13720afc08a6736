"""The sample application's own build and unit tests, run as a delivery runs them: as processes, in a clean place."""

from __future__ import annotations

from pathlib import Path

from tests.support.sample_application import copy_source, run_python


def build(folder: Path, name: str, **environment: str) -> bytes:
    done = run_python(folder, "build.py", "--out", name, **environment)
    assert done.returncode == 0, done.stderr
    return (folder / name).read_bytes()


def test_the_same_files_and_version_give_the_same_archive(tmp_path: Path) -> None:
    first, second = copy_source(tmp_path / "1"), copy_source(tmp_path / "2")
    (second / "build.py").touch()
    version = {"BUILD_VERSION": "20260101.1", "BUILD_COMMIT": "c0ffee"}
    assert build(first, "a.tar.gz", **version) == build(second, "b.tar.gz", **version)
    assert build(first, "c.tar.gz", BUILD_VERSION="2") != build(first, "d.tar.gz", BUILD_VERSION="3")


def test_what_cannot_be_compiled_is_not_packed(tmp_path: Path) -> None:
    folder = copy_source(tmp_path / "1")
    (folder / "opt/app/api/pages.py").write_text("def")
    done = run_python(folder, "build.py", "--out", "a.tar.gz")
    assert done.returncode != 0 and "pages.py" in done.stderr
    assert not (folder / "a.tar.gz").exists()


def test_its_own_unit_tests_pass(tmp_path: Path) -> None:
    done = run_python(copy_source(tmp_path / "1"), "-m", "unittest")
    assert done.returncode == 0, done.stderr
