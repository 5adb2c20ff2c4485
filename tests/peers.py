"""Maps by torchcam, captum and grad-cam of a torch module: raw, (h, w), before any resizing or normalising."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import nn
from torchcam.methods import CAM, ISCAM, SSCAM, FinerCAM, GradCAM, LayerCAM, ScoreCAM, XGradCAM

from onnx_cam.runtime.noise import noise_field

Floats = NDArray[np.float32]
PeerMap = Callable[[nn.Module, str, Floats, int, str], Floats]
"""A network, its layer, an input (C, H, W), a class and a method to the peer's map."""
SEED = 5
SAMPLES = 3
TORCHCAM = {"scorecam": ScoreCAM, "sscam1": SSCAM, "iscam": ISCAM}
"""The methods with a variant named after torchcam."""

TORCHCAM_GRADIENTS: dict[str, Any] = {
    "gradcam": GradCAM,
    "finercam": FinerCAM,
    "xgradcam": XGradCAM,
    "layercam": LayerCAM,
}
"""Without Grad-CAM++, whose denominator torchcam loses."""

GRAD_CAM = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAMPlusPlus",
    "xgradcam": "XGradCAM",
    "layercam": "LayerCAM",
    "hirescam": "HiResCAM",
    "scorecam": "ScoreCAM",
}


def named_variant(method: str) -> str | None:
    """Return the variant that computes what grad-cam does, where it is not the default one."""
    return "pytorch-grad-cam" if method in ("gradcam++", "scorecam") else None


class _OurNoise:
    """Hands torchcam our noise fields: its `sample` returns the next one, the same for all channels."""

    def __init__(self, sigma: float) -> None:
        self.sigma = sigma
        self.step = 0

    def sample(self, size: torch.Size) -> torch.Tensor:
        field = self.sigma * noise_field(SEED, self.step, tuple(size[2:]))
        self.step += 1
        return torch.from_numpy(field).expand(size)


def torchcam_map(
    module: nn.Module, layer: str, x: Floats, target: int, method: str, *, samples: int = SAMPLES
) -> Floats:
    """Return torchcam's map, by its own ``normalized=False``."""
    chosen = {} if method == "scorecam" else {"num_samples": samples}
    with TORCHCAM[method](module, layer, input_shape=x.shape, **chosen) as extractor:
        if method == "sscam1":
            extractor._distrib = _OurNoise(extractor.std)
        with torch.inference_mode():
            module(torch.from_numpy(x[None]))
        return np.asarray(extractor(target, normalized=False)[0][0])


def torchcam_gradient_map(module: nn.Module, layer: str, x: Floats, target: int, method: str) -> Floats:
    """Return torchcam's map by a gradient method, by its own ``normalized=False``."""
    with TORCHCAM_GRADIENTS[method](module, layer, input_shape=x.shape) as extractor:
        scores = module(torch.from_numpy(x[None]))
        return np.asarray(extractor(target, scores, normalized=False)[0][0])


def torchcam_cam_map(module: nn.Module, layer: str, x: Floats, target: int, method: str = "cam") -> Floats:
    """Return the map of torchcam's CAM, with the ReLU that it leaves out; it finds the linear layer itself."""
    assert method == "cam"
    with CAM(module, layer, input_shape=x.shape) as extractor:
        with torch.inference_mode():
            module(torch.from_numpy(x[None]))
        return np.asarray(np.maximum(extractor(target, normalized=False)[0][0].numpy(), 0))


def captum_map(module: nn.Module, layer: str, x: Floats, target: int, method: str = "gradcam") -> Floats:
    """Return the map of captum's LayerGradCam, which neither resizes nor normalises."""
    assert method == "gradcam"
    captum = LayerGradCam(module, module.get_submodule(layer))
    given = torch.from_numpy(x[None]).requires_grad_()
    found = captum.attribute(given, target=target, relu_attributions=True)
    return np.asarray(found.detach().numpy()[0, 0])


_torchvision: list[torch.library.Library] = []  # what it defines is gone with it


def import_grad_cam() -> Any:
    """Return the package pytorch_grad_cam: it imports torchvision, whose operators a CPU torch lacks.

    Raises
    ------
    ImportError
        It is not installed.
    """
    if not _torchvision:
        _torchvision.append(torch.library.Library("torchvision", "FRAGMENT"))  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            schema = f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor"
            _torchvision[0].define(schema)  # type: ignore[no-untyped-call]
    import pytorch_grad_cam

    return pytorch_grad_cam


def grad_cam_map(module: nn.Module, layer: str, x: Floats, target: int, method: str) -> Floats:
    """Return grad-cam's map: what its ``get_cam_image`` gives it to cut at 0, resize and normalise, cut at 0."""
    package = import_grad_cam()
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    raw: list[Floats] = []

    def keep(*given: Any) -> Floats:
        raw.append(made(*given))
        return raw[-1]

    with getattr(package, GRAD_CAM[method])(module, [module.get_submodule(layer)]) as peer:
        made, peer.get_cam_image = peer.get_cam_image, keep
        peer(torch.from_numpy(x[None]), [ClassifierOutputTarget(target)])
    return np.asarray(np.maximum(raw[0][0], 0))
