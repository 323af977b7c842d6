"""What a terminal shows and hears at its screen (DESIGN §9): a page on loopback, states down."""
