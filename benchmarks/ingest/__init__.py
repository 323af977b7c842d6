"""From a terminal's batch to the site's receipt: how much, how quickly, and at what price."""
