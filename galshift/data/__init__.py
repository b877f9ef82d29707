"""Reading, writing, preprocessing, splitting and batching of galaxy images."""
