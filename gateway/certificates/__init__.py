"""Terminals' certificates: issued, revoked, and what a revocation ends."""
