"""Help at 03:00: spares, blocked PINs, PUKs in safe keeping (docs/cards.md)."""
