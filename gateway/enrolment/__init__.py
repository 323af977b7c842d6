"""Who becomes a terminal, and on whose word (docs/first-boot.md)."""
