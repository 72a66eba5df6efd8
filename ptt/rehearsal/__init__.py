"""A pretend Internet on this machine, in network namespaces of its own."""
