"""``python -m onnx_cam`` and the console script."""

from onnx_cam.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
