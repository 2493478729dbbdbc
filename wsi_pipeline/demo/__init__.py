"""A model trained on drawings, and how well a mask agrees with what was drawn."""

#: The package's name in the models folder.
DEMO = "demo"
#: Bump when the demo package is built differently; earlier ones are then built anew.
DEMO_VERSION = "7"
