"""The command line: one file per verb, found by its name and imported when it is typed."""
