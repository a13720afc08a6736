"""What is delivered, whence and whereto: one `<app>.toml` per application and its typed model."""

from include.apps.loader import app_names, load_app, read_fragment
from include.apps.model import App, Region

__all__ = ["App", "Region", "app_names", "load_app", "read_fragment"]
