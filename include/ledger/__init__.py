"""The ledger: facts, locks and holds as values and rules. Tables and transactions are include/adapters' work."""

from include.ledger.events import EVENT_VERSION, EVERY_REGION, Event, Json, Kind, Place, Recorded
from include.ledger.locks import Claim, Hold, Holder, Lease, LeaseRunOutError, LockedError, LockLostError, decide_claim
from include.ledger.nudges import Nudges
from include.ledger.port import Ledger

__all__ = [
    "EVENT_VERSION",
    "EVERY_REGION",
    "Claim",
    "Event",
    "Hold",
    "Holder",
    "Json",
    "Kind",
    "Lease",
    "LeaseRunOutError",
    "Ledger",
    "LockLostError",
    "LockedError",
    "Nudges",
    "Place",
    "Recorded",
    "decide_claim",
]
