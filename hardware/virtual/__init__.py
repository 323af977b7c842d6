"""A PIV card in software that plugs into a real pcscd through vsmartcard's virtual reader.

Tests, the demo and a developer's hand tap with it. The terminal daemon never imports it.
"""
