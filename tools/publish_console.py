"""Copy the console's files to the assets bucket, so that `functions/console` can serve them.

Only what changed is written. Works against Cloud Storage and, with STORAGE_EMULATOR_HOST, on a laptop:

    python tools/publish_console.py --bucket bridge-local-assets
"""

import argparse
import base64
import hashlib
import os
import sys
from pathlib import Path

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

CONSOLE = Path(__file__).resolve().parents[1] / "console"
PREFIX = "console/"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}


def main() -> int:
    """Publish; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", required=True, help="the assets bucket")
    arguments = parser.parse_args()
    emulated = os.environ.get("STORAGE_EMULATOR_HOST")
    client = storage.Client(
        project=os.environ.get("GOOGLE_CLOUD_PROJECT"),
        credentials=AnonymousCredentials() if emulated else None,
    )
    bucket = client.bucket(arguments.bucket)
    published = {blob.name: blob.md5_hash for blob in client.list_blobs(arguments.bucket, prefix=PREFIX)}
    wanted = {
        PREFIX + path.relative_to(CONSOLE).as_posix(): path
        for path in CONSOLE.rglob("*")
        if path.suffix in TYPES
    }
    for name, path in sorted(wanted.items()):
        data = path.read_bytes()
        if published.get(name) != base64.b64encode(hashlib.md5(data).digest()).decode():
            bucket.blob(name).upload_from_string(data, content_type=TYPES[path.suffix])
    for name in published.keys() - wanted.keys():
        bucket.blob(name).delete()
    return 0


if __name__ == "__main__":
    sys.exit(main())
