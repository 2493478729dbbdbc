"""``python -m workers``: a worker process, told by ``WSI_…`` variables and ``wsi.toml``."""

import sys

from workers.main import main
from wsi_pipeline.service.settings import ServiceSettings

if __name__ == "__main__":
    sys.exit(main(ServiceSettings()))
