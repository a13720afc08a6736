"""Unit tests; the service's folder on the path, as `opt/app/run` has it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "opt" / "app"))
