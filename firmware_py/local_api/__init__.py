"""What applications on this terminal may ask, and are told (docs/api/terminal.json)."""
