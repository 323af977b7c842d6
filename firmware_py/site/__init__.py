"""The way to the rest of the site: identity, broker, gateway (DESIGN §8)."""
