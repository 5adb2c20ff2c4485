"""The command line: click over the library, and no logic of its own."""
