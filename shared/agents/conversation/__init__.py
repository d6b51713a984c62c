"""What a session remembers: its messages, its facts and its prompt blocks."""
