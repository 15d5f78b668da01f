"""A run -> table, JSON Lines, JSON, CSV, HTML and others. Pure: results in, text out."""
