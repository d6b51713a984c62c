"""Logs, spans and figures, and where they go."""
