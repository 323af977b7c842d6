"""The site gateway: judges what terminals send, keeps the evidence log, publishes the directory.

One hospital is one site, and one site is one gateway with one log.
"""
