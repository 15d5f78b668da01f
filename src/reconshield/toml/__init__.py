"""TOML files that people write by hand, read strictly, with file and line in every complaint.

    text -> faults.parse_toml -> tables -> schema.read -> frozen records      each mistake one `Fault` with its path
    text -> statements.read_statements -> where each key stands               the TOML reader gives values without positions

The catalogue and the policy are such files. Pure; knows nothing of either.
"""
