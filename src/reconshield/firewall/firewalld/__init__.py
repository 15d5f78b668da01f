"""What firewalld's zones say: their settings, rich rules and the ports of its services."""
