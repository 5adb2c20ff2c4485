"""Hugging Face's image processors by their type: what each does where its configuration does not say."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from onnx_cam.image.configurations.values import Config
from onnx_cam.image.preprocessing import PRESETS
from onnx_cam.image.resizing import Size

__all__ = ["PROCESSORS", "Processor", "find_processor", "type_name"]

_HALF = (0.5, 0.5, 0.5)
_IMAGENET_MEAN, _IMAGENET_STD = PRESETS["imagenet"].mean, PRESETS["imagenet"].std
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_BILINEAR, _BICUBIC = 2, 3  # Pillow's numbers
_SUFFIX = re.compile(r"(ImageProcessor(Fast|Pil)?|FeatureExtractor)$")


@dataclass(frozen=True)
class Processor:
    """What an image processor does by default, and what it does that its configuration has no key for.

    Attributes
    ----------
    size : int, tuple of int or None
        The shorter side, or ``(H, W)``, that images are resized to.
    crop_size : tuple of int or None
        The centre that is cropped, where `crops`.
    crops : bool
        Whether the centre is cropped.
    square : bool
        Whether a size of a single number is that of a square, not of the shorter side.
    resample : int
        Pillow's number of the interpolation.
    mean, std : tuple of float or None
        None: the configuration has to say.
    enlargement : {"none", "convnext", "crop_pct", "levit", "crop_first"}
        What the size is enlarged by before the crop: nothing; ``crop_pct`` below 384 pixels, and there is no crop
        above; ``crop_pct``; 256 / 224. "crop_first": a square is cropped whose side is ``size / crop_size`` of the
        shorter side, and resized.
    crop_pct : float or None
        For "convnext" and "crop_pct".
    normalises : {"default", "never"}
        "never": whatever ``do_normalize`` says.
    flips : bool
        Whether the channels are put into the order BGR at last.
    deviates_twice : bool
        Whether the result is divided by ``image_std`` once more (``include_top``).

    Examples
    --------
    >>> PROCESSORS["mobilevit"].flips, PROCESSORS["vit"].flips
    (True, False)
    """

    size: int | Size | None = (224, 224)
    crop_size: Size | None = (224, 224)
    crops: bool = False
    square: bool = True
    resample: int = _BICUBIC
    mean: tuple[float, ...] | None = _HALF
    std: tuple[float, ...] | None = _HALF
    enlargement: Literal["none", "convnext", "crop_pct", "levit", "crop_first"] = "none"
    crop_pct: float | None = None
    normalises: Literal["default", "never"] = "default"
    flips: bool = False
    deviates_twice: bool = False


_VIT = Processor(resample=_BILINEAR)
_CLIP = Processor(224, crops=True, square=False, mean=_CLIP_MEAN, std=_CLIP_STD)
_MOBILENET = Processor(256, crops=True, square=False, resample=_BILINEAR)
_LEVIT = Processor(224, crops=True, square=False, mean=_IMAGENET_MEAN, std=_IMAGENET_STD)

PROCESSORS: dict[str, Processor] = {
    "beit": Processor(),
    "bit": _CLIP,
    "blip": Processor((384, 384), mean=_CLIP_MEAN, std=_CLIP_STD),
    "chineseclip": _CLIP,
    "clip": _CLIP,
    "convnext": Processor(384, square=False, enlargement="convnext", crop_pct=224 / 256),
    "deit": Processor((256, 256), crops=True),
    "dinov3vit": replace(_VIT, mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
    "efficientformer": _LEVIT,
    "efficientnet": Processor((346, 346), (289, 289), deviates_twice=True),
    "flava": replace(_CLIP, size=(224, 224), square=True),
    "layoutlmv3": _VIT,
    "levit": replace(_LEVIT, enlargement="levit"),
    "mobilenetv1": _MOBILENET,
    "mobilenetv2": _MOBILENET,
    "mobilevit": Processor(224, (256, 256), crops=True, square=False, normalises="never", flips=True),
    "perceiver": Processor(
        crop_size=(256, 256), crops=True, mean=_IMAGENET_MEAN, std=_IMAGENET_STD, enlargement="crop_first"
    ),
    "poolformer": replace(_LEVIT, enlargement="crop_pct", crop_pct=0.9),
    "pplcnet": Processor(
        256,
        crops=True,
        square=False,
        resample=_BILINEAR,
        mean=_IMAGENET_MEAN[::-1],
        std=_IMAGENET_STD[::-1],
        flips=True,
    ),
    "pvt": Processor(mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
    "segformer": Processor((512, 512), resample=_BILINEAR, mean=_IMAGENET_MEAN, std=_IMAGENET_STD),
    "siglip": Processor(square=False),
    "vit": _VIT,
    "vithybrid": _CLIP,
}
"""The types that classifiers use, named in lower case without ``ImageProcessor`` or ``FeatureExtractor``, with the
defaults of transformers 5."""

UNNAMED = Processor(size=None, crop_size=None, resample=_BILINEAR, mean=None, std=None)
"""What is assumed of a configuration that names no type, or one that is not known: it says all that counts."""


def type_name(config: Config) -> str | None:
    """Return the type of image processor that a configuration names.

    Examples
    --------
    >>> type_name({"feature_extractor_type": "MobileViTFeatureExtractor"})
    'MobileViTFeatureExtractor'
    """
    for key in ("image_processor_type", "feature_extractor_type"):
        name = config.get(key)
        if isinstance(name, str):
            return name
    return None


def find_processor(name: str | None) -> Processor | None:
    """Return the processor of a type's name, in the old spelling or the new; None for one that is not known.

    Examples
    --------
    >>> find_processor("ViTImageProcessorFast") is find_processor("ViTFeatureExtractor")
    True
    """
    return None if name is None else PROCESSORS.get(_SUFFIX.sub("", name).lower())
