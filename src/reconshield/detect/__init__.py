"""Is something talking that should not? Flow logs and captures in, detections graded by evidence out.

    file -> readers/<format> -> items (batches of flows, bad records, ...)     pure: pieces of bytes in, items out
    batches -> tally -> one row for each (source, destination, port, transport), with all that the evidence needs
    tally + policy + tables -> match -> detections with points and reasons

`flows` is the contract between the first two; a reader never judges, and what judges never sees a format.
"""
