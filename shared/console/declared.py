"""What the console adds to the platform: the bucket of its files."""

from shared.platform.registry.kinds import Bucket, Doors

ASSETS = Bucket("assets", "The console's files", written_by="the deployment")
DOORS = Doors("console", "The web console's page and files.")
