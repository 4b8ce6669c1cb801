"""Connect's official conformance tests, against the servers that the service runs on."""
