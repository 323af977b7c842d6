"""The promises, as tests. The folders mirror the packages."""
