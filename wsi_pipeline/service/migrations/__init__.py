"""Alembic migrations of the service's database; ``wsi migrate`` runs them."""
