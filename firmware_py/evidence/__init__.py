"""What can be proven of this terminal: its journal, shipped until receipted (DESIGN §7)."""
