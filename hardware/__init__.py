"""Cards and readers: PIV over PC/SC, and a virtual card that plugs into a real pcscd."""
