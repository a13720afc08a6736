"""The command line for people: `./redstart`."""
