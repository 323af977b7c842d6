"""Who is on the screen: one table of states, and what its steps do to workspaces (DESIGN §5)."""
