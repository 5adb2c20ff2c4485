"""Programs that export a network from its framework to one ONNX file, which onnx-cam then explains without any option.

They are not installed with the package; run them from a clone: ``python -m exporters.torch_exporter …``.
"""
