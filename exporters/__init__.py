"""Programs that take a network from its framework to one ONNX file, which onnx-cam explains without an option.

Not installed with the package: they run from a clone, ``python -m exporters.torch_exporter …``.
"""
