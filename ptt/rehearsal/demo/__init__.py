"""The demonstration: our service and a pretend Internet on one machine, and what happens between them."""
