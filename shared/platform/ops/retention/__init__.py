"""How long rows are kept: the rules that rooms declare, and the step that applies them."""
