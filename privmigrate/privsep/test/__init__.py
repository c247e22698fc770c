"""What a service's own tests use of the runtime; needs the library `fixtures`."""
