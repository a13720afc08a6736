"""The recipe of an image: its name, its tags, and what its builder runs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from include.errors import RefusedError
from include.fleet.tags import APP, BASE_IMAGE, BRANCH, BUILD, COMMIT, TREE, VERSION

USER_DATA_LIMIT_BYTES = 16 * 1024
TAG_CHARACTERS = 256


@dataclass(frozen=True)
class Artifact:
    """What was built: a .tar.gz whose paths are those on the instance (`opt/app/run`). `url` is presigned (GET)."""

    url: str
    sha256: str


@dataclass(frozen=True)
class ImageRecipe:
    """Where an image comes from; `tree` is the commit's git tree, `build` the address of the run that had it made."""

    app: str
    version: str
    commit: str
    tree: str
    branch: str
    base_image_id: str
    build: str = ""

    @property
    def name(self) -> str:
        """`api-1.4.2-0123456789ab`: 3 to 128 characters of those that AWS allows in an image's name."""
        name = f"{self.app}-{self.version}-{self.commit[:12]}"
        return re.sub(r"[^A-Za-z0-9().\-/_ ]", "_", name)[:128]

    @property
    def report_key(self) -> str:
        """Where this image's builder reports, below the artifact store's root; the same for every try."""
        return f"bakes/{self.app}/{self.name}.json"

    @property
    def identity(self) -> dict[str, str]:
        """Tags that say which code is in it: an image that carries them need not be baked again."""
        return {APP: self.app, COMMIT: self.commit, VERSION: self.version}

    @property
    def tags(self) -> dict[str, str]:
        more = {TREE: self.tree, BRANCH: self.branch, BASE_IMAGE: self.base_image_id, BUILD: self.build}
        return {**self.identity, **{key: value[:TAG_CHARACTERS] for key, value in more.items() if value}}

    @property
    def document(self) -> dict[str, str]:
        """What an instance can read of itself, in /etc/redstart/image.json."""
        return {
            "name": self.name,
            "app": self.app,
            "version": self.version,
            "commit": self.commit,
            "tree": self.tree,
            "branch": self.branch,
            "base_image": self.base_image_id,
            "build": self.build,
        }


_SCRIPT = """#!/bin/bash
# Makes this machine the image {name}: unpack, note, report, switch off.
set -eu
artifact_url={artifact_url}
sha256={sha256}
result_url={result_url}
document={document}
root="${{INSTANCE_ROOT:-}}"
work="$(mktemp -d)"
reason="user data ended early"

report() {{
  python3 - "$result_url" "$1" "$2" <<'PYTHON'
import json, sys, time, urllib.request
url, ok, reason = sys.argv[1], sys.argv[2] == "ok", sys.argv[3]
body = json.dumps({{"ok": ok, "reason": reason}}).encode()
for attempt in range(5):
    try:
        # urllib's default type is a form's, whose body not every server hands on.
        kind = {{"Content-Type": "application/json"}}
        request = urllib.request.Request(url, data=body, method="PUT", headers=kind)
        urllib.request.urlopen(request, timeout=20).read()
        break
    except OSError as error:
        print("bake: cannot report:", error, flush=True)
        time.sleep(min(2 ** attempt, 5))
PYTHON
}}

finish() {{
  status=$?
  trap - EXIT
  rm -rf "$work"
  if [ "$status" -eq 0 ]; then
    echo "bake: done"
    report ok "" || true
  else
    if [ "$status" -eq 124 ]; then reason="not fetched and unpacked within {limit_seconds} s"; fi
    if [ -s "$root/var/log/bake-reason" ]; then reason="$(cat "$root/var/log/bake-reason")"; fi
    echo "bake: failed: $reason"
    rm -f "$root/etc/redstart/image.json"
    report failed "$reason" || true
  fi
  rm -f "$root/var/log/bake-reason"
  shutdown -h now
  exit "$status"
}}
trap finish EXIT
trap 'exit 143' TERM INT

mkdir -p "$root/etc/redstart" "$root/var/log"
rm -f "$root/etc/redstart/image.json"
# A download that never ends must not keep the machine for ever.
timeout {limit_seconds} python3 - "$artifact_url" "$sha256" "$work" "$root/" "$root/var/log/bake-reason" <<'PYTHON'
import hashlib, sys, tarfile, time, urllib.request
url, expected, work, root, reason_file = sys.argv[1:]

def fail(reason):
    with open(reason_file, "w") as file:
        file.write(reason)
    sys.exit("bake: " + reason)

path = work + "/artifact.tar.gz"
for attempt in range(5):
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=30) as answer, open(path, "wb") as file:
            while chunk := answer.read(1 << 16):
                digest.update(chunk)
                file.write(chunk)
        break
    except OSError as error:
        print("bake: cannot fetch the artifact:", error, flush=True)
        if attempt == 4 or 400 <= getattr(error, "code", 0) < 500:
            fail("cannot fetch the artifact: %s" % error)
        time.sleep(min(2 ** attempt, 5))
if digest.hexdigest() != expected:
    fail("the artifact's sha256 is %s, not %s" % (digest.hexdigest(), expected))
try:
    with tarfile.open(path) as archive:
        archive.extractall(root, filter="data")
except (OSError, tarfile.TarError) as error:
    fail("cannot unpack the artifact: %s" % error)
PYTHON
printf '%s\\n' "$document" > "$root/etc/redstart/image.json"
"""


def builder_script(recipe: ImageRecipe, artifact: Artifact, result_url: str, *, limit_seconds: int = 600) -> str:
    """User data of the builder. `result_url` is presigned (PUT); it gets {"ok": bool, "reason": str}.

    A machine that switched itself off without a result, or with ok = false, has no image in it. Needs bash,
    python3 >= 3.11.4 and coreutils on the machine; INSTANCE_ROOT is empty on real AWS. RefusedError over 16 KB.
    """
    script = _SCRIPT.format(
        name=recipe.name.replace("\n", " "),
        artifact_url=shlex.quote(artifact.url),
        sha256=shlex.quote(artifact.sha256),
        result_url=shlex.quote(result_url),
        document=shlex.quote(json.dumps(recipe.document, sort_keys=True)),
        limit_seconds=int(limit_seconds),
    )
    if len(script.encode()) > USER_DATA_LIMIT_BYTES:
        raise RefusedError(f"user data of {recipe.name} is over {USER_DATA_LIMIT_BYTES} bytes, more than AWS takes")
    return script


def read_result(body: Mapping[str, object]) -> tuple[bool, str]:
    """(ok, reason) of a builder's result; anything but an explicit ok is a failure."""
    return body.get("ok") is True, str(body.get("reason") or "")
