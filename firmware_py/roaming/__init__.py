"""Roaming: a holder's session is where she tapped last, and her PIN counts where a ward says so."""
