"""The answer for a whole slide: its features, fitted probability, interval and state."""
