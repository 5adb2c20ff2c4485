"""Configurations as tools write them, by the names of their files, and what they write into a model's metadata."""

from __future__ import annotations

from typing import Any

__all__ = ["FILES", "METADATA"]

_HALF = [0.5, 0.5, 0.5]
_NAMES = {"0": "bird", "1": "cat", "2": "fish", "3": "dog"}

_HUGGING_FACE: dict[str, Any] = {
    "image_processor_type": "ViTImageProcessor",
    "crop_pct": 0.9,
    "crop_size": {"height": 32, "width": 32},
    "do_center_crop": True,
    "do_convert_rgb": None,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": _HALF,
    "image_std": _HALF,
    "include_top": True,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "rescale_offset": False,
    "size": {"shortest_edge": 36},
}

_TIMM: dict[str, Any] = {
    "architecture": "resnet10t",
    "num_classes": 4,
    "label_names": ["bird", "cat", "fish", "dog"],
    "pretrained_cfg": {
        "input_size": [3, 32, 32],
        "test_input_size": [3, 40, 40],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "crop_mode": "border",
        "mean": _HALF,
        "std": _HALF,
    },
}

_CUSTOM_VISION: dict[str, Any] = {
    "CustomVision.Metadata.Version": "1.2",
    "CustomVision.Preprocess.CropHeight": "32",
    "CustomVision.Preprocess.CropMethod": "OneCropCenter",
    "CustomVision.Preprocess.CropWidth": "32",
    "CustomVision.Preprocess.MaxDimension": "0",
    "CustomVision.Preprocess.MaxScale": "0.0",
    "CustomVision.Preprocess.NormalizeMean": "[0.0, 0.0, 0.0]",
    "CustomVision.Preprocess.NormalizeStd": "[1.0, 1.0, 1.0]",
    "CustomVision.Preprocess.ResizeMethod": "ByShorterSide",
    "CustomVision.Preprocess.TargetHeight": "40",
    "CustomVision.Preprocess.TargetWidth": "40",
    "Image.BitmapPixelFormat": "Bgr8",
    "Image.ColorSpaceGamma": "SRGB",
    "Image.NominalPixelRange": "NominalRange_0_255",
}

_ULTRALYTICS: dict[str, Any] = {
    "author": "Ultralytics",
    "task": "classify",
    "stride": "1",
    "imgsz": [48, 48],
    "names": {0: "bird", 1: "cat", 2: "fish", 3: "dog"},
}

_PADDLE: dict[str, Any] = {
    "Global": {"model_name": "PP-LCNet_x1_0"},
    "PreProcess": {
        "transform_ops": [
            {"ResizeImage": {"resize_short": 36, "interpolation": "bilinear", "backend": "cv2"}},
            {"CropImage": {"size": 32}},
            {"NormalizeImage": {"mean": _HALF, "std": _HALF, "scale": "1.0/255.0", "order": "", "channel_num": 3}},
            {"ToCHWImage": None},
        ]
    },
    "PostProcess": {"Topk": {"topk": 2, "label_list": ["bird", "cat", "fish", "dog"]}},
}

_PADDLEX: dict[str, Any] = {
    "Model": "ResNet18",
    "Transforms": [
        {"ResizeByShort": {"short_size": 36, "interp": "LINEAR"}},
        {"CenterCrop": {"crop_size": 32}},
        {"Normalize": {"mean": _HALF, "std": _HALF, "min_val": [0, 0, 0], "max_val": [255.0, 255.0, 255.0]}},
    ],
    "_Attributes": {"num_classes": 4, "labels": ["bird", "cat", "fish", "dog"]},
}

_MMDEPLOY: dict[str, Any] = {
    "pipeline": {
        "tasks": [
            {
                "name": "Preprocess",
                "module": "Transform",
                "transforms": [
                    {"type": "LoadImageFromFile", "to_float32": False},
                    {"type": "Resize", "size": [36, -1], "keep_ratio": False, "interpolation": "bicubic"},
                    {"type": "CenterCrop", "crop_size": [32, 32]},
                    {"type": "Normalize", "mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0], "to_rgb": True},
                    {"type": "ImageToTensor", "keys": ["img"]},
                    {"type": "Collect", "keys": ["img"], "meta_keys": ["ori_shape"]},
                ],
            },
            {"name": "postprocess", "params": {"topk": 5}},
        ]
    }
}

_LOBE: dict[str, Any] = {
    "format": "onnx",
    "classes": {"Label": ["bird", "cat", "fish", "dog"]},
    "inputs": {"Image": {"dtype": "float32", "shape": [None, 32, 32, 3], "name": "image"}},
    "outputs": {"Confidences": {"dtype": "float32", "shape": [None, 4], "name": "logits"}},
}

_OWN: dict[str, Any] = {
    "name": "mine",
    "channels": "RGB",
    "crop_pct": 0.9,
    "interpolation": "bilinear",
    "mean": _HALF,
    "resize": "cover",
    "scale": 1 / 255,
    "size": [32, 32],
    "std": _HALF,
}

FILES: dict[str, list[Any]] = {
    "preprocessor_config.json": [
        _HUGGING_FACE,
        {"feature_extractor_type": "ConvNextFeatureExtractor", "size": 32, "resample": 2, "crop_pct": 0.875},
        {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 32},
    ],
    "processor_config.json": [{"processor_class": "CLIPProcessor", "image_processor": _HUGGING_FACE}],
    "config.json": [
        _TIMM,
        {
            "model_type": "vit",
            "image_size": 32,
            "id2label": _NAMES,
            "label2id": {"bird": 0, "cat": 1},
            "num_channels": 3,
        },
        {"model_type": "vit", "problem_type": "multi_label_classification", "id2label": _NAMES},
    ],
    "signature.json": [_LOBE],
    "metadata.json": [
        {
            "tfjsVersion": "1.3.1",
            "packageName": "@teachablemachine/image",
            "imageSize": 224,
            "labels": ["bird", "cat", "fish", "dog"],
        }
    ],
    "metadata_properties.json": [_CUSTOM_VISION],
    "metadata.yaml": [_ULTRALYTICS],
    "inference.yml": [_PADDLE],
    "deploy.json": [{"version": "1.3.1", "task": "Classifier", "models": [{"name": "resnet", "net": "end2end.onnx"}]}],
    "pipeline.json": [_MMDEPLOY],
    "detail.json": [{"codebase_config": {"type": "mmpretrain"}, "backend_config": {"type": "onnxruntime"}}],
    "model.yml": [_PADDLEX],
    "model.json": [_OWN],
}
"""Configurations by the name of their file."""

METADATA: list[dict[str, Any]] = [
    _CUSTOM_VISION,
    _ULTRALYTICS,
    {"onnx_cam.preprocessing": _OWN, "onnx_cam.labels": ["bird", "cat", "fish", "dog"], "onnx_cam.layer": "relu1"},
    {"preprocessor_config": _HUGGING_FACE, "id2label": _NAMES, "problem_type": "regression"},
    {"model_info labels": "bird cat fish dog", "class_names": "bird,cat,fish,dog", "image_size": 32},
]
"""What tools write into the metadata of a model; values that are no text are written as JSON or as Python does."""
