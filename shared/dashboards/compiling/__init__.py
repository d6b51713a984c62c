"""From a document and chosen filters to bound SQL."""
