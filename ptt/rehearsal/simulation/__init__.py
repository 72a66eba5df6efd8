"""All units in one process: a clock that jumps, connections of memory, disorder by seed."""
