"""Import: models in the forms other programs keep them in become model packages."""
