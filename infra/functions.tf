data "google_project" "this" {}

locals {
  # The address that Cloud Run gives a service before it exists. It counts as internal for Cloud Tasks and Cloud Scheduler.
  step_url = "https://{name}-${data.google_project.this.number}.${var.region}.run.app"
  environment = {
    BRIDGE_ENV                    = var.environment
    BRIDGE_BASE_URL               = var.base_url
    BRIDGE_STEP_URL               = local.step_url
    BRIDGE_REGION                 = var.region
    GOOGLE_CLOUD_PROJECT          = var.project
    BRIDGE_BUCKET_PREFIX          = var.project
    BRIDGE_KMS_KEY                = google_kms_crypto_key.credentials.id
    BRIDGE_STEP_SERVICE_ACCOUNT   = google_service_account.steps.email
    BRIDGE_EVENTS_SERVICE_ACCOUNT = google_service_account.events.email
    DATABASE_URL                  = local.database_url
    BRIDGE_DATABASE_CA            = google_sql_database_instance.directory.server_ca_cert[0].cert
    BRIDGE_PLATFORM_ADMINS        = join(",", var.platform_admins)
    BRIDGE_LIMITS                 = jsonencode(var.limits)
    BRIDGE_FLAGS                  = jsonencode(var.flags)
    BRIDGE_ALLOWED_ORIGINS        = join(",", var.allowed_origins)
    OTEL_EXPORTER_OTLP_ENDPOINT   = var.otlp_endpoint
    ANTHROPIC_API_KEY             = var.anthropic_secret == "" ? "" : "projects/${var.project}/secrets/${var.anthropic_secret}/versions/latest"
  }
  # Behind API Gateway: the caller's token and address are where the gateway and Cloud Run put them.
  endpoint_environment = {
    BRIDGE_CREDENTIAL_HEADER = "X-Forwarded-Authorization"
    BRIDGE_PROXY_HOPS        = "2"
    # The gateway addresses a function by the names that Cloud Run gives it.
    BRIDGE_HOSTS = "{name}-*.a.run.app,{name}-${data.google_project.this.number}.${var.region}.run.app"
  }
  # How many requests an instance works on at once. functions-framework needs as many threads.
  concurrency = { http = 16, sse = 24, task = 1, finalized = 1, scheduled = 1 }
  # Cloud Run checks the tokens of steps against IAM (identities.tf) and removes their signatures.
  step_environment = {
    BRIDGE_TOKENS_CHECKED = "true"
  }
}

resource "google_cloudfunctions2_function" "function" {
  for_each    = local.deployed
  name        = each.key
  location    = var.region
  description = each.value.summary

  build_config {
    runtime     = "python311"
    entry_point = each.value.entry_point
    source {
      storage_source {
        bucket = google_storage_bucket.bundles.name
        object = google_storage_bucket_object.bundle[each.key].name
      }
    }
  }

  service_config {
    available_memory                 = "${each.value.memory_mb}Mi"
    available_cpu                    = local.concurrency[each.value.kind] > 1 ? "1" : null
    max_instance_request_concurrency = local.concurrency[each.value.kind]
    timeout_seconds                  = each.value.timeout
    max_instance_count               = var.max_instances
    min_instance_count               = 0
    ingress_settings                 = contains(["http", "sse"], each.value.kind) ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
    service_account_email            = google_service_account.functions.email
    environment_variables            = merge(local.environment, contains(keys(local.endpoints), each.key) ? local.endpoint_environment : local.step_environment, { THREADS = tostring(local.concurrency[each.value.kind]) })
    all_traffic_on_latest_revision   = true
    vpc_connector                    = google_vpc_access_connector.functions.id
    vpc_connector_egress_settings    = "PRIVATE_RANGES_ONLY"
  }
}
