"""(6) Exports: a result as picture, outlines, table, mask or archive. Nothing here alters it."""
