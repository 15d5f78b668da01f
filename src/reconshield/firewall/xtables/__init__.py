"""The options of iptables' rules: what they match and do."""
