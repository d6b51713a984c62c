resource "google_cloud_scheduler_job" "scheduled" {
  for_each  = local.scheduled
  name      = each.key
  region    = var.region
  schedule  = each.value.schedule
  time_zone = "Etc/UTC"
  # Cloud Scheduler hangs up after 3 minutes unless it is told how long the function may take.
  attempt_deadline = "${max(15, each.value.timeout)}s"

  http_target {
    http_method = "POST"
    uri         = replace(local.step_url, "{name}", each.key)
    oidc_token {
      service_account_email = google_service_account.steps.email
      audience              = replace(local.step_url, "{name}", each.key)
    }
  }
}
