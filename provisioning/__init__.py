"""The `tapover` command: the authority, terminals, cards, staff.

Every command can be called from a test; JSON goes to stdout, words for people to stderr.
"""
