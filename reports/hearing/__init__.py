"""What providers say on their status pages: asked for, read, matched to what people report, and put down as said.

``listen`` runs it all; ``statuspage`` and ``syndication`` read the two shapes, ``meanings`` says what an update means,
``matching`` whom and where it is about, ``kept`` holds what was heard until it belongs to an incident or is dismissed.
"""
