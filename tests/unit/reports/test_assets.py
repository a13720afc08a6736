"""What a page carries inside itself: the vendored library is the one we say it is, and nothing ends its element."""

from __future__ import annotations

import hashlib
import re

from include.reports.assets import UPLOT, VENDOR, library, script, styles


def test_vendored_files_are_those_that_were_noted() -> None:
    noted = dict(re.findall(r"^\| (\S+) \|.*\| ([0-9a-f]{64}) \|$", (VENDOR / "README.md").read_text(), re.M))
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in VENDOR.iterdir()}
    del found["README.md"]
    assert found == noted
    assert f"{UPLOT}.min.js" in found


def test_the_library_brings_its_licence() -> None:
    assert "Permission is hereby granted" in library()
    assert "Leon Sorokin" in library()


def test_no_asset_ends_its_own_element() -> None:
    for text in (library(), script()):
        assert not re.search(r"</script|<!--", text, re.I)
    assert not re.search(r"</style", styles(), re.I)
