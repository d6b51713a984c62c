resource "google_sql_database_instance" "directory" {
  name                = "bridge-${var.environment}"
  region              = var.region
  database_version    = "POSTGRES_16"
  deletion_protection = true

  settings {
    tier              = var.database_tier
    availability_type = var.environment == "prod" ? "REGIONAL" : "ZONAL"

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.bridge.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    database_flags {
      name  = "cloudsql.iam_authentication"
      value = "on"
    }
  }

  depends_on = [google_service_networking_connection.services]
}

resource "google_sql_database" "bridge" {
  name     = "bridge"
  instance = google_sql_database_instance.directory.name
}

# Functions sign in with a token of their account: there is no password to keep or to lose. Who runs the migrations grants
# this role what the application may do (README.md); by itself it may do nothing.
resource "google_sql_user" "functions" {
  name     = trimsuffix(google_service_account.functions.email, ".gserviceaccount.com")
  instance = google_sql_database_instance.directory.name
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
}

locals {
  # The instance signs its certificate itself and no certificate names a private address, so the authority alone is compared.
  database_url = "postgresql://${urlencode(google_sql_user.functions.name)}@${google_sql_database_instance.directory.private_ip_address}:5432/${google_sql_database.bridge.name}?sslmode=verify-ca&auth=iam"
}
