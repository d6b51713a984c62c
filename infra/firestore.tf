resource "google_firestore_database" "default" {
  name        = "(default)"
  location_id = var.region
  type        = "FIRESTORE_NATIVE"
}

resource "google_firestore_field" "ttl" {
  for_each   = toset(["results", "leases", "turns", "turn_events", "rates", "breakers", "tickets", "memo"])
  database   = google_firestore_database.default.name
  collection = each.value
  field      = "expires_at"
  ttl_config {}
}
