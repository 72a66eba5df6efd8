"""The units: one folder, one job, the fewest secrets and the fewest peers."""
