"""The PIN at the screen: why it is asked, and how its holder changes it (ADR 0021)."""
