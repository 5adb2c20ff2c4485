"""Activation functions of each element by itself, and the identity."""

from __future__ import annotations

from onnx_cam.graph.backward.step import Gradients, NoRule, Step

__all__ = [
    "celu",
    "clip",
    "elu",
    "hard_sigmoid",
    "hard_swish",
    "identity",
    "leaky_relu",
    "mish",
    "prelu",
    "quick_gelu",
    "relu",
    "selu",
    "shrink",
    "softplus",
    "softsign",
    "swish",
    "thresholded_relu",
]


def identity(step: Step) -> Gradients:
    return {0: step.gradient}


def relu(step: Step) -> Gradients:
    """0 at 0. The output tells where the input is positive, so that Conv and Relu can still be fused."""
    return {0: step.emit.masked(step.gradient, step.emit.add("Greater", step.output(), 0.0))}


def clip(step: Step) -> Gradients:
    """1 between the bounds and at them, which is where the output equals the input.

    Raises
    ------
    NoRule
        The bounds depend on the image.
    """
    if step.wants(1) or step.wants(2):
        raise NoRule("its bounds depend on the image")
    return {0: step.emit.masked(step.gradient, step.emit.equal(step.output(), step.value()))}


def leaky_relu(step: Step) -> Gradients:
    """α up to 0, and 1 above. Unless α is negative the output has the input's sign, as for `relu`."""
    alpha = step.attribute("alpha", 0.01)
    is_positive = step.emit.add("Greater", step.output() if alpha >= 0 else step.value(), 0.0)
    slope = step.emit.add("Add", step.emit.masked(1 - alpha, is_positive), alpha)
    return _product(step, slope)


def prelu(step: Step) -> Gradients:
    """As `leaky_relu`, with α as a second operand."""
    emit, g = step.emit, step.gradient
    is_positive = emit.add("Greater", step.value(), 0.0)
    below = emit.masked(g, emit.add("Not", is_positive))
    gradients: dict[int, str | None] = {}
    if step.wants(0):
        gradients[0] = emit.add("Add", emit.masked(g, is_positive), emit.add("Mul", below, step.value(1)))
    if step.wants(1):
        gradients[1] = step.unbroadcast(emit.add("Mul", below, step.value()), 1)
    return gradients


def elu(step: Step) -> Gradients:
    """Up to 0, where y = α (exp(x) − 1), y + α, and 1 above."""
    return _exponential_below(step, step.emit.add("Add", step.output(), step.attribute("alpha", 1.0)), 1.0)


def selu(step: Step) -> Gradients:
    """Up to 0, where y = γ α (exp(x) − 1), y + γ α, and γ above."""
    alpha, gamma = step.attribute("alpha", 1.6732632423543772), step.attribute("gamma", 1.0507009873554805)
    return _exponential_below(step, step.emit.add("Add", step.output(), gamma * alpha), gamma)


def celu(step: Step) -> Gradients:
    """Up to 0, where y = α (exp(x / α) − 1), y / α + 1, and 1 above."""
    scaled = step.emit.add("Div", step.output(), step.attribute("alpha", 1.0))
    return _exponential_below(step, step.emit.add("Add", scaled, 1.0), 1.0)


def _exponential_below(step: Step, below: str, above: float) -> Gradients:
    is_positive = step.emit.add("Greater", step.value(), 0.0)
    left = step.emit.masked(below, step.emit.add("Not", is_positive))
    return _product(step, step.emit.add("Add", left, step.emit.masked(above, is_positive)))


def thresholded_relu(step: Step) -> Gradients:
    is_above = step.emit.add("Greater", step.value(), step.attribute("alpha", 1.0))
    return {0: step.emit.masked(step.gradient, is_above)}


def shrink(step: Step) -> Gradients:
    """0 between −λ and λ, and 1 outside."""
    threshold = step.attribute("lambd", 0.5)
    above, below = step.emit.add("Greater", step.value(), threshold), step.emit.add("Less", step.value(), -threshold)
    return {0: step.emit.masked(step.gradient, step.emit.add("Or", above, below))}


def hard_sigmoid(step: Step) -> Gradients:
    """α where α x + β lies in [0, 1]."""
    alpha = step.attribute("alpha", 0.2)
    line = step.emit.add("Add", step.emit.add("Mul", step.value(), alpha), step.attribute("beta", 0.5))
    return _product(step, step.emit.masked(alpha, step.emit.within(line, 0.0, 1.0)))


def hard_swish(step: Step) -> Gradients:
    """Of x · clip(x / 6 + 1/2, 0, 1)."""
    emit, x = step.emit, step.value()
    sixth = emit.add("Div", x, 6.0)
    inside = emit.within(emit.add("Add", sixth, 0.5), 0.0, 1.0)
    gate = emit.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    return _product(step, emit.add("Add", gate, emit.masked(sixth, inside)))


def swish(step: Step) -> Gradients:
    """Of x · sigmoid(α x)."""
    return _gated(step, step.attribute("alpha", 1.0))


def quick_gelu(step: Step) -> Gradients:
    """Of x · sigmoid(α x), with an α of 1.702."""
    return _gated(step, step.attribute("alpha", 1.702))


def _gated(step: Step, alpha: float) -> Gradients:
    """Return s + z s (1 − s) times the gradient, s the sigmoid of z = α x."""
    emit = step.emit
    z = emit.add("Mul", step.value(), alpha)
    gate = emit.add("Sigmoid", z)
    bracket = emit.add("Add", emit.add("Mul", z, emit.add("Sub", 1.0, gate)), 1.0)
    return _product(step, emit.add("Mul", gate, bracket))


def mish(step: Step) -> Gradients:
    """Of x · tanh(softplus(x)): t + x (1 − t²) sigmoid(x), t the tanh."""
    emit, x = step.emit, step.value()
    t = emit.add("Tanh", emit.add("Softplus", x))
    slope = emit.add("Mul", emit.add("Sub", 1.0, emit.square(t)), emit.add("Sigmoid", x))
    return _product(step, emit.add("Add", t, emit.add("Mul", x, slope)))


def softplus(step: Step) -> Gradients:
    return _product(step, step.emit.add("Sigmoid", step.value()))


def softsign(step: Step) -> Gradients:
    """1 / (1 + |x|)²."""
    width = step.emit.add("Add", step.emit.add("Abs", step.value()), 1.0)
    return {0: step.emit.add("Div", step.gradient, step.emit.square(width))}


def _product(step: Step, derivative: str) -> Gradients:
    return {0: step.emit.add("Mul", step.gradient, derivative)}
