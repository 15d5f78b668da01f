"""Real servers with their truth: what identification is scored on (`bench/identify_zoo.py`)."""
