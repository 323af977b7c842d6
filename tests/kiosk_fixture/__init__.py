"""Every face of the kiosk, made up: to look at the page without a ward behind it."""
