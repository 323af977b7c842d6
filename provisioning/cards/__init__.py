"""Cards at the desk: made, enrolled, given, cared for."""
