"""Postgres: how its SQL is written; its adapter is not there yet."""
