# One account that runs functions, and one each for what may call them. No function can be invoked by anybody else.
resource "google_service_account" "functions" {
  account_id   = "bridge-functions"
  display_name = "Bridge: runs functions"
}

resource "google_service_account" "steps" {
  account_id   = "bridge-steps"
  display_name = "Bridge: calls steps from Cloud Tasks and Cloud Scheduler"
}

resource "google_service_account" "events" {
  account_id   = "bridge-events"
  display_name = "Bridge: delivers finalize events"
}

resource "google_service_account" "gateway" {
  account_id   = "bridge-gateway"
  display_name = "Bridge: calls endpoints from API Gateway"
}

resource "google_project_iam_member" "functions" {
  for_each = toset(["roles/cloudtasks.enqueuer", "roles/cloudtasks.viewer", "roles/datastore.user", "roles/cloudsql.client", "roles/cloudsql.instanceUser"])
  project  = var.project
  role     = each.value
  member   = google_service_account.functions.member
}

# Handing a task to a queue with the steps account's identity needs the right to act as it, and only as it.
resource "google_service_account_iam_member" "act_as_steps" {
  service_account_id = google_service_account.steps.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.functions.member
}

# An event that is replayed, or that Eventarc forgot, is handed to a queue with the identity of events.
resource "google_service_account_iam_member" "act_as_events" {
  service_account_id = google_service_account.events.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.functions.member
}

resource "google_project_iam_member" "events" {
  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.events.member
}

resource "google_cloud_run_service_iam_member" "steps_invoke" {
  for_each = merge(local.tasks, local.scheduled)
  location = var.region
  service  = google_cloudfunctions2_function.function[each.key].name
  role     = "roles/run.invoker"
  member   = google_service_account.steps.member
}

resource "google_cloud_run_service_iam_member" "events_invoke" {
  for_each = local.finalized
  location = var.region
  service  = google_cloudfunctions2_function.function[each.key].name
  role     = "roles/run.invoker"
  member   = google_service_account.events.member
}

# People reach endpoints through API Gateway; the endpoints authenticate them themselves.
resource "google_cloud_run_service_iam_member" "gateway_invoke" {
  for_each = local.endpoints
  location = var.region
  service  = google_cloudfunctions2_function.function[each.key].name
  role     = "roles/run.invoker"
  member   = google_service_account.gateway.member
}

# The key itself stays in Secret Manager: functions that talk to a model read it by its name.
resource "google_secret_manager_secret_iam_member" "anthropic" {
  count     = var.anthropic_secret == "" ? 0 : 1
  secret_id = "projects/${var.project}/secrets/${var.anthropic_secret}"
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.functions.member
}

# Spans and figures straight to Cloud Trace and Cloud Monitoring.
resource "google_project_iam_member" "telemetry" {
  count   = strcontains(var.otlp_endpoint, ".googleapis.com") ? 1 : 0
  project = var.project
  role    = "roles/telemetry.writer"
  member  = google_service_account.functions.member
}
