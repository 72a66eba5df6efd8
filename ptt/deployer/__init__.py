"""Configuration, images, plan: from a commit to running units."""
