"""The chain of a scan.

    POST /v1/onboarding/catalog/scan
      └─ ScanDataset × n ──────────► catalog/scan_dataset
           └─ catalog/{connection}/{dataset}/{scan}.json.gz
                └─ finalized ──────► catalog/index_snapshot
                     └─ ScanFinished (once, after the n-th) ► catalog/finish_scan

    every 15 minutes ─► catalog/reconcile
                          └─ a snapshot that was never indexed: its event once more, as above

The scan's id is also the id of its job. A dataset counts once, whether it ends as an indexed snapshot or
as an error; the counter on the job's row makes one landing the last.
"""

from shared.platform.background.messages import Message
from shared.platform.ids import TeamId


class ScanDataset(Message, step="catalog-scan-dataset", queue="catalog", job="scan", child="dataset"):
    """Read the shape of one dataset and leave a snapshot."""

    team: TeamId
    connection: str
    scan: str
    dataset: str


class ScanFinished(Message, step="catalog-finish-scan", queue="catalog", job="scan"):
    """Every dataset of the scan has landed. A replayed step lets a scan that has ended go into another round."""

    team: TeamId
    connection: str
    scan: str
    round: int = 0
