"""What each port and service is: the registry, the catalogue, the risk model, and the profile that joins them.

Data flows one way: `registry` (what IANA says) and `catalog` (what people run, one TOML file a service) -> `index` (both, ready
to be looked up) -> `profile` (the true answer for one port) -> `render` and `terminal` (the answer as data and as text).
Nothing here touches the network or the store.
"""
