"""HTTP on this machine alone: what the kiosk page and the local API are served by."""
