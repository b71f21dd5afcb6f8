"""The `taskrouter` command line: one module per command, each with a `register(app)`."""
