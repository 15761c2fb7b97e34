"""The domain: what people report, what is counted, what is decided, what is answered."""
