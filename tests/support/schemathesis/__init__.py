"""What schemathesis needs to know of this API: how to sign in, and what reads as an address and as a name."""
