"""Read the shape of one dataset and leave a snapshot."""

from shared.catalog import scan
from shared.catalog.flow import ScanDataset
from shared.platform.steps import task


@task(ScanDataset, once="{scan}/{dataset}", timeout=300, retry_seconds=300, gave_up=scan.scan_dataset_failed)
def scan_dataset(step: ScanDataset) -> None:
    scan.scan_dataset(step)
