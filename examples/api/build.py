"""Packs the service: `python3 build.py --out api.tar.gz`. The same commit gives the same bytes.

The archive is unpacked over the root of a machine: opt/app/run is what its init starts. opt/app/VERSION says what is
in it: BUILD_VERSION and BUILD_COMMIT of the environment, else what git says, else "unbuilt".
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SUFFIXES = {".py", ".toml", ""}


def build(out: Path) -> list[str]:
    """Write the archive; the names in it. SystemExit with a sentence for a file that cannot be right."""
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in sources()}
    for name, data in contents.items():
        check(name, data)
    contents["opt/app/VERSION"] = f"{version()}\n".encode()
    with (
        out.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in sorted(contents):
            archive.addfile(entry(name, len(contents[name])), io.BytesIO(contents[name]))
    return sorted(contents)


def sources() -> list[Path]:
    found = (path for path in (ROOT / "opt").rglob("*") if path.is_file() and path.suffix in SUFFIXES)
    return sorted(path for path in found if path.name != "VERSION")


def check(name: str, data: bytes) -> None:
    """Fail here, not at boot."""
    try:
        if name.endswith(".py"):
            compile(data, name, "exec", dont_inherit=True)
        elif name.endswith(".toml"):
            tomllib.loads(data.decode())
    except (SyntaxError, ValueError) as error:
        sys.exit(f"build: {name}: {error}")


def entry(name: str, size: int) -> tarfile.TarInfo:
    """Nothing of the machine it was built on."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o755 if name == "opt/app/run" else 0o644
    return info


def version() -> str:
    """Version and commit."""
    commit = os.environ.get("BUILD_COMMIT") or git("rev-parse", "HEAD")
    name = os.environ.get("BUILD_VERSION") or git("describe", "--always", "--dirty")
    return f"{name or commit[:10] or 'unbuilt'} {commit}".strip()


def git(*arguments: str) -> str:
    """What git says of this folder; nothing where it is an export and not a clone."""
    if not (ROOT / ".git").exists():
        return ""
    done = subprocess.run(  # noqa: S603 - fixed arguments
        ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - wherever git is
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    names = build(out)
    print(f"build: {out}: {len(names)} files, {out.stat().st_size} bytes, version {version()}")


if __name__ == "__main__":
    main()
