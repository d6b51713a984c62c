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
      ipv4_enabled = false
      ssl_mode     = "ENCRYPTED_ONLY"
    }
  }
}

resource "google_sql_database" "bridge" {
  name     = "bridge"
  instance = google_sql_database_instance.directory.name
}

# The address with its password is put there by an operator; functions read the newest version.
resource "google_secret_manager_secret" "database_url" {
  secret_id = "bridge-database-url"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_iam_member" "functions" {
  secret_id = google_secret_manager_secret.database_url.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.functions.member
}
