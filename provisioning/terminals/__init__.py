"""Ward terminals before their first boot, and afterwards as the fleet shows them."""
