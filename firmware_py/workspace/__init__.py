"""What a session shows: the port, and the backends behind it."""
