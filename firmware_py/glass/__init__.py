"""What stands on the glass, and what is said to it: the words that desks and page share."""
