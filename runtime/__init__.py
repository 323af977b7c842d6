"""What a process of ours needs from its machine, and nothing else.

Its modules are fixed (clock, durable, settings, logs, systemd, supervisor, mqtt): a shared package
grows unless a test says no. It imports no other package of ours.
"""
