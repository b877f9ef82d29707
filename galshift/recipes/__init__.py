"""Steps, and recipes that chain them: read, plan, run, lock."""
