"""From a proof to what it opens, asks or is refused: decision, grace, pad (DESIGN §4, §6)."""
