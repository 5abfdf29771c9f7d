"""EgoPipe: head-camera footage into training data for robots."""
