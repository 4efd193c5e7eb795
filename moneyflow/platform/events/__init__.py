"""Events: the contract base, the CloudEvents envelope, emit, the topic registry."""
