"""SQL as text: a dialect's tokens, and the rewrites that keep the author's words."""
