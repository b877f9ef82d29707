"""The only training loop, with its checkpoints, devices and trackers."""
