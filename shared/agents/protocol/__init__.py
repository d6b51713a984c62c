"""What is said to a model and what comes back, whoever provides it."""
