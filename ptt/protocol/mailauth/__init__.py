"""Mail authentication: who signed, who may send, what the author's domain asks for."""
