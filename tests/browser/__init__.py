"""The kiosk's page in a real browser, before a ward of real parts."""
