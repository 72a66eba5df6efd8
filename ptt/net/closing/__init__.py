"""What a unit gives up for good before it serves: files, programs, what its manifest does not name."""
