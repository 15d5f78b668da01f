"""The policy in the words of other tools: what each zone may talk, as rules that a sensor, a firewall or a person can read.

    Policy -> policy.gates.find_gates -> enclaves.describe -> Enclaves -> formats/<name>.render -> text

Detection judges flows by the same gates, so an export cannot read the policy differently; tests hold every format against
detection on generated traffic. Pure: a format is a value with a function from `Enclaves` to text, and the same policy on the
same side of every expiry gives the same bytes.
"""
