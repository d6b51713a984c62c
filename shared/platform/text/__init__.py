"""Texts from outside: names, YAML and JSON, read strictly."""
