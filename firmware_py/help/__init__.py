"""03:00 at a terminal: a spare for a named person, a blocked PIN (`contract.help`, `contract.puk`).

Loaded when somebody asks for it, or a peer has helped; a terminal has no memory to spare.
"""
