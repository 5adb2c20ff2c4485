"""``python -m onnx_cam`` and the console script."""

import atexit
import gc
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported, or a package that is missing, is one line."""
    atexit.register(gc.freeze)  # the process ends: there is no use in searching all its objects for garbage
    try:
        from onnx_cam.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)
    except ImportError as error:
        sys.exit(f"onnx-cam: error: the installation is incomplete: {error}; install onnx-cam again")


if __name__ == "__main__":
    main()
