"""The cells of a whole smear field: found, cut out, classified, counted, measured."""
