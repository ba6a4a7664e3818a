"""Objects in front of a learnt background, their tracks, and what can be told from how they move."""
