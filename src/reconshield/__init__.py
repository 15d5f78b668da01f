"""ReconShield: service-exposure intelligence for people who run networks."""

__version__ = "0.1.0"
