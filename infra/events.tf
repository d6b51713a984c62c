# Cloud Storage tells Eventarc of its objects through Pub/Sub, as an account of its own.
data "google_storage_project_service_account" "this" {}

resource "google_project_iam_member" "storage_publishes" {
  project = var.project
  role    = "roles/pubsub.publisher"
  member  = data.google_storage_project_service_account.this.member
}

# Object-finalize events of a bucket reach each function that declares the bucket: Eventarc filters by nothing else. A step
# leaves alone what does not fit its pattern.
resource "google_eventarc_trigger" "finalized" {
  for_each        = local.finalized
  name            = each.key
  location        = var.region
  service_account = google_service_account.events.email

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }
  matching_criteria {
    attribute = "bucket"
    value     = google_storage_bucket.lake[each.value.bucket].name
  }

  destination {
    cloud_run_service {
      service = google_cloudfunctions2_function.function[each.key].name
      region  = var.region
    }
  }

  depends_on = [google_project_iam_member.storage_publishes, google_project_iam_member.events]
}
