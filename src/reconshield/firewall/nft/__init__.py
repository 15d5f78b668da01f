"""The expressions of nftables' JSON: what they match, and how they are written for people."""
