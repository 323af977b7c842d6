"""A card in a reader: what it is asked, visit by visit, and the records it signs (DESIGN §4)."""
