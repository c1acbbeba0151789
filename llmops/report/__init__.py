"""One run on one page: what ran, its curves, what was seen, what to try next."""
