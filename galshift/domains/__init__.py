"""Data sets made ready to be trained on: split by galaxy, brought to one frame, observed, noise-matched."""
