"""Changes, verdicts and silence -> messages that somebody must act on, and the channels that carry them.

    message   what an alert says: exactly what changed, since when, why it matters, what to do, where the proof lies
    route     events x standing alerts x routes -> what is new, what is updated, what is over, who is told when (pure)
    words     a message as a subject, as the text of a mail, as four lines of chat (pure)
    channels  one file for each way out

What is to be sent lies in the database before anything is sent (`store.outbox`); `jobs.deliver` sends it.
"""
