"""`python -m include.services.ledger upgrade`: the ledger's tables, made or brought to this code's revision."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from include.adapters.ledger_engine import ledger_engine, ledger_name
from include.adapters.ledger_schema import upgrade
from include.errors import RedstartError
from include.services.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m include.services.ledger", description=__doc__)
    parser.add_argument("verb", choices=["upgrade"], help="REDSTART_LEDGER says which ledger")
    parser.parse_args(arguments)
    try:
        engine = ledger_engine(Settings().ledger_url)
        upgrade(engine)
    except RedstartError as error:
        print(f"redstart: {error}", file=sys.stderr, flush=True)
        return 2
    print(f"{ledger_name(engine)} is ready.", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
