"""A second person's card, under a text that an application on this terminal wants signed."""
