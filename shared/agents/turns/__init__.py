"""Turns from the outside: begun, run, published, cancelled, taken over."""
