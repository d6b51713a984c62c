"""From a tile and its columns to a chart specification."""
