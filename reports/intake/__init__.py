"""The intake: from what somebody sends to a counted report."""
