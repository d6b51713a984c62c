locals {
  # Made from what rooms declare by `make manifest`; the same file configures the local Firestore.
  firestore = jsondecode(file("${path.module}/firestore.indexes.json"))
}

resource "google_firestore_database" "default" {
  name        = "(default)"
  location_id = var.region
  type        = "FIRESTORE_NATIVE"
}

resource "google_firestore_field" "ttl" {
  for_each   = { for field in local.firestore.fieldOverrides : field.collectionGroup => field if lookup(field, "ttl", false) }
  database   = google_firestore_database.default.name
  collection = each.key
  field      = each.value.fieldPath
  ttl_config {}
  # No index: nothing asks for it, and an index of times that only grow makes one place of it hot.
  index_config {}
}
