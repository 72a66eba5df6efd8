"""What runs in the place of a unit when it is tried whether somebody who owns it gets out."""
