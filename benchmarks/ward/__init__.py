"""A ward in a box: every real process of a small site on this machine, on loopback.

The demo, the end-to-end tests and the benchmarks use it. State lies on a real disk, and each ward
has its own block of ports, so that two wards run side by side.
"""
