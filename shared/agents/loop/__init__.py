"""One turn's loop: the model is called, its tools run, until it answers."""
