"""Break-glass and downtime: what a ward does when its rights cannot be judged (DESIGN §5, §7)."""
