"""What rooms declare (`kinds`), and all of it as data (`gathered`)."""
