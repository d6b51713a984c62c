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

# What a hundred attempts (some 16 hours) did not deliver is kept for a month, to be looked at. The reconcilers find the objects by
# themselves. Eventarc has no field for it: the subscription is its own, and changed as its documentation says.
resource "google_pubsub_topic" "undelivered" {
  name       = "bridge-undelivered-events"
  depends_on = [google_project_service.used]
}

resource "google_pubsub_subscription" "undelivered" {
  name                       = "bridge-undelivered-events"
  topic                      = google_pubsub_topic.undelivered.id
  message_retention_duration = "2678400s"
  expiration_policy {
    ttl = ""
  }
}

resource "google_project_service_identity" "pubsub" {
  provider = google-beta
  project  = var.project
  service  = "pubsub.googleapis.com"
}

resource "google_pubsub_topic_iam_member" "undelivered" {
  topic  = google_pubsub_topic.undelivered.id
  role   = "roles/pubsub.publisher"
  member = google_project_service_identity.pubsub.member
}

resource "google_pubsub_subscription_iam_member" "undelivered" {
  for_each     = local.finalized
  subscription = google_eventarc_trigger.finalized[each.key].transport[0].pubsub[0].subscription
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}

resource "terraform_data" "undelivered" {
  for_each         = local.finalized
  triggers_replace = [google_eventarc_trigger.finalized[each.key].transport[0].pubsub[0].subscription, google_pubsub_topic.undelivered.id]

  provisioner "local-exec" {
    command = "gcloud pubsub subscriptions update ${self.triggers_replace[0]} --dead-letter-topic=${self.triggers_replace[1]} --max-delivery-attempts=100"
  }

  depends_on = [google_pubsub_topic_iam_member.undelivered, google_pubsub_subscription_iam_member.undelivered]
}
