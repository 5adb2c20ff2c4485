"""Every name that the command line offers, in one place and free of imports.

``onnx-cam --help`` must answer at once, so the command line cannot import the modules that these names stand for.
Both sides import the names from here; the tests hold each list to what it names.
"""

from __future__ import annotations

__all__ = [
    "BASELINES",
    "COLORMAPS",
    "CONTROLS",
    "DATASET_KINDS",
    "DEVICES",
    "ENGINES",
    "GRADIENTS",
    "HEADS",
    "HEATMAP_METHODS",
    "HEATMAP_RESOLUTIONS",
    "METHODS",
    "METRICS",
    "METRICS_OF_ALL",
    "METRIC_EXPLANATIONS",
    "PREPROCESSINGS",
    "PRESETS",
    "SCORES",
]

METHODS = (
    *("scorecam", "sscam1", "sscam2", "sscam-max", "iscam", "cam"),
    *("gradcam", "gradcam++", "smoothgradcam++", "grad++scorecam", "xgradcam", "layercam", "hirescam"),
    "finercam",
)
"""The methods, the gradient-free ones first, in the papers' order: :data:`onnx_cam.METHODS` has their classes."""

CONTROLS = ("equal", "centre", "random", "blurred")
"""The controls of the evaluation: :data:`onnx_cam.methods.controls.CONTROLS` has their classes."""

HEATMAP_METHODS = ("cam", "gradcam", "gradcam++", "xgradcam", "layercam", "hirescam")
"""The methods whose heatmap can be an output of the model itself: those that need a single run."""

HEATMAP_RESOLUTIONS = ("layer", "input")
"""The size of such a heatmap: the layer's, or that of the network's input."""

METRICS_OF_ALL = (
    *("average-drop", "average-increase", "average-gain", "win"),
    *("deletion", "insertion", "pointing", "specificity", "class-change"),
)
"""The metrics that ``--metrics all`` stands for: those that score inputs, and explain nothing again."""

METRIC_EXPLANATIONS = {"adcc": 1, "contrast-drop": 0, "grid-pointing": 1, "randomisation": 1, "stability": 3}
"""The other metrics, and how many whole explanations each takes for a map: its class says the same."""

METRICS = (*METRICS_OF_ALL, *METRIC_EXPLANATIONS)
"""The metrics of the evaluation, which ``all+`` stands for: :data:`onnx_cam.metrics.METRICS` has their classes."""

SCORES = ("probability", "logit")
"""What f^c can be."""

GRADIENTS = ("auto", "onnx", "torch")
"""What computes gradients: ONNX Runtime, torch, or torch only where an operator has no rule."""

BASELINES = ("zero", "black", "mean", "blur")
"""The baseline images X_b: zeros in network-input space; pixel value 0; each channel's mean; the image, blurred."""

HEADS = (
    *("logits", "softmax", "log-softmax", "sigmoid"),
    *("multi-label", "percent", "complement", "negated", "negative-log", "raw"),
)
"""What the numbers of a model's output can be: :data:`onnx_cam.graph.heads.HEADS` has their classes."""

PRESETS = ("imagenet", "tf", "caffe", "unit", "raw")
"""The named preprocessings: :data:`onnx_cam.PRESETS` has their constants."""

PREPROCESSINGS = ("auto", *PRESETS, "none")
"""What ``--preprocess`` takes beside a JSON file."""

DEVICES = ("cpu", "cuda", "tensorrt", "openvino")
"""The devices: :data:`onnx_cam.runtime.devices.DEVICES` has their execution providers."""

COLORMAPS = ("turbo", "jet", "viridis", "inferno", "magma", "plasma", "cividis", "hot", "bone")
"""OpenCV's colour maps that suit a map from 0 to 1."""

DATASET_KINDS = ("ilsvrc", "csv", "index", "coco", "voc", "images", "folders")
"""The layouts that datasets come in, in the order in which they are recognised."""

ENGINES = ("local", "ray")
"""Who works on the images of an evaluation."""
