resource "google_storage_bucket" "lake" {
  for_each                    = local.buckets
  name                        = "${var.project}-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = each.value.versioned
  }

  dynamic "lifecycle_rule" {
    for_each = compact([lookup(each.value, "delete_after_days", "")])
    content {
      action { type = "Delete" }
      condition { age = lifecycle_rule.value }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = compact([lookup(each.value, "archive_after_days", "")])
    content {
      action {
        type          = "SetStorageClass"
        storage_class = "ARCHIVE"
      }
      condition { age = lifecycle_rule.value }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = compact([lookup(each.value, "delete_versions_after_days", "")])
    content {
      action { type = "Delete" }
      condition { days_since_noncurrent_time = lifecycle_rule.value }
    }
  }
}

resource "google_storage_bucket_iam_member" "functions" {
  for_each = google_storage_bucket.lake
  bucket   = each.value.name
  role     = "roles/storage.objectUser"
  member   = google_service_account.functions.member
}

resource "google_storage_bucket" "bundles" {
  name                        = "${var.project}-bundles"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning { enabled = true }
}

# The name holds the bundle's hash, so a function is deployed again only when its own bytes changed.
resource "google_storage_bucket_object" "bundle" {
  for_each = local.deployed
  bucket   = google_storage_bucket.bundles.name
  name     = "${each.key}/${filesha256("${path.module}/../build/${each.key}.zip")}.zip"
  source   = "${path.module}/../build/${each.key}.zip"
}
