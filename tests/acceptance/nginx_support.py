"""nginx as reverse proxy: with the file in ``docker/``, and with one of its own that speaks TLS."""

import os
import shutil
from pathlib import Path

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_OURS = Path(__file__).parents[2] / "docker" / "nginx.conf"
_TLS = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_pass http://127.0.0.1:{behind};
        }}
    }}
}}
"""


def proxy_command(folder: Path, behind: int, port: int) -> list[str]:
    """The composition's proxy; only its addresses and its places to write are changed.

    Args:
        folder: Where it writes.
        behind: Port of the service.
        port: Where it listens.
    """
    text = _OURS.read_text()
    for there, here in (
        ("/tmp/", f"{folder}/"),
        ("/dev/stdout", f"{folder}/access.log"),
        ("server api:8000", f"server 127.0.0.1:{behind}"),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
    ):
        assert there in text
        text = text.replace(there, here)
    return _command(folder, text)


def tls_command(folder: Path, behind: int, port: int, certificate: Path, key: Path) -> list[str]:
    """A proxy that speaks TLS, as somebody would put it before the composition."""
    text = _TLS.format(folder=folder, port=port, behind=behind, certificate=certificate, key=key)
    return _command(folder, text)


def _command(folder: Path, text: str) -> list[str]:
    assert NGINX is not None
    path = folder / "nginx.conf"
    path.write_text(text)
    # As root it would give its workers to a user who may not enter these folders.
    user = " user root;" if os.getuid() == 0 else ""
    return [NGINX, "-c", str(path), "-g", f"daemon off;{user}"]
