"""What the catalog adds to the platform: errors, scans, their queue and their snapshots."""

from shared.platform.errors import BadInput, Conflict
from shared.platform.registry.kinds import Bucket, Doors, Queue, counted


class ScanRunning(Conflict):
    """This connection is already being scanned; follow the running job."""

    code = "SCAN_RUNNING"


class BadSnapshot(BadInput):
    """The snapshot can't be read; scan the dataset again."""

    code = "BAD_SNAPSHOT"


SCANS = counted("scans", 500, 20, "Catalog scans")
SCANNING = Queue("catalog", "Data sets to scan, scans to finish")
SNAPSHOTS = Bucket("catalog", "What scans found, one snapshot a data set", queue="catalog")
DOORS = Doors("catalog", "Datasets, tables and columns behind a connection.")
