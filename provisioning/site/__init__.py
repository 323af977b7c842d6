"""A site's own keys and papers: made, rotated, backed up, restored."""
