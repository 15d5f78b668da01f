"""The verbs. The only place that knows every folder; each file reads top to bottom and is called by the command line."""
