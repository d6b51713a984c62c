resource "google_cloud_tasks_queue" "queue" {
  for_each = local.queues
  name     = each.value
  location = var.region

  rate_limits {
    max_concurrent_dispatches = 16
    max_dispatches_per_second = 50
  }

  # The last attempt is the one whose retry count a step compares with its number of tries, which follows from the time that it
  # declares and from this pace (shared/platform/background/pace.py; a test compares them).
  retry_config {
    # A replayed or forgotten event travels through the queue that its bucket names.
    max_attempts = max(concat(
      [1],
      [for f in values(local.tasks) : f.attempts if f.queue == each.value],
      [for f in values(local.finalized) : f.attempts if local.buckets[f.bucket].queue == each.value],
    )...)
    min_backoff   = "1s"
    max_backoff   = "300s"
    max_doublings = 8
  }
}
