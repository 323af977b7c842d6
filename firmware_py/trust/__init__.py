"""What this terminal believes, and since when: keys, directory, site time (DESIGN §6)."""
