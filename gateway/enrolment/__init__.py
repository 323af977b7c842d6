"""Who becomes a terminal, and on whose word (docs/enrolment.md)."""
