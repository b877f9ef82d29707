"""How easily a classifier is fooled: detector faults, complete searches, certificates, corruptions."""
