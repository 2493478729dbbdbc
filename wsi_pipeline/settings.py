"""Where this installation keeps things: read from the environment once, at the edge."""

from pathlib import Path

import platformdirs
from pydantic_settings import BaseSettings, SettingsConfigDict

_APP = "wsi-pipeline"


class Settings(BaseSettings):
    """Folders; each from a ``WSI_…`` variable or the platform's usual place.

    Attributes:
        cache_dir: ``WSI_CACHE_DIR``: converted models; may be deleted at any time.
        models_dir: ``WSI_MODELS_DIR``: model packages found by name.
    """

    model_config = SettingsConfigDict(env_prefix="WSI_", frozen=True)

    cache_dir: Path = Path(platformdirs.user_cache_dir(_APP))
    models_dir: Path = Path(platformdirs.user_data_dir(_APP)) / "models"
