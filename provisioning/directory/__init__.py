"""What an operator changes at the gateway: people, policies, lists; shown, signed, sent."""
