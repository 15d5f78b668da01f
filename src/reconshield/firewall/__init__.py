"""What a firewall does, and what it should do: rulesets read and judged, rules made and proved."""
