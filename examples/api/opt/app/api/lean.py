"""Imports asyncio without TLS, which this service does not serve: 4 MB less in every instance.

The metrics agent imports `ssl` itself where its end point is https.
"""

from __future__ import annotations

import sys

if "asyncio" not in sys.modules and "ssl" not in sys.modules:
    sys.modules["ssl"] = None  # type: ignore[assignment]  # asyncio takes this for "Python was built without it"
    import asyncio  # noqa: F401

    del sys.modules["ssl"]
