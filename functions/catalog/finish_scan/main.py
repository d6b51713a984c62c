"""Close a scan whose datasets have all landed."""

from shared.catalog import scan
from shared.catalog.flow import ScanFinished
from shared.platform.steps import task


@task(ScanFinished, once="{scan}/{round}", timeout=60, retry_seconds=300, gave_up=scan.finish_failed)
def finish_scan(step: ScanFinished) -> None:
    scan.finish(step)
