"""A terminal's first boot, and its later certificates.

Imported when there is something to enrol, never by a daemon at work: memory is counted there.
"""
