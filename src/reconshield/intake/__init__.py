"""Results of other tools, read into our words: pure, a stream of bytes in, a stream of readings out.

`reading` is the contract and the records, `formats/` has one file for each format, `objects` and `lines` cut a stream into its
records however it is broken. The job that imports a file opens it, asks `recognise`, and keeps what `read` yields.
"""
