"""Stain: what dyes do to light, how a slide is stained, and how to show it stained like another."""
