"""The terminal daemon: from a card in the field to the right person's work on the screen.

It decides alone when the network is away, and keeps a journal that can be checked afterwards.
"""
