"""What goes over the broker, in both directions (DESIGN §8)."""
