"""Entry point: `python3 -I -S opt/app` runs one instance until SIGTERM."""

import api.lean  # noqa: F401 - must come before anything that imports asyncio
from api.service import main

main()
