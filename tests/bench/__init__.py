"""`python3 dev.py bench`: how fast, how soon, how much memory. Ratios within one run; nothing here is a test."""
