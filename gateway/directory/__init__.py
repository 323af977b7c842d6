"""The directory at its source: requests, the guard, a second operator, snapshots (DESIGN §6)."""
