"""The gates as a JUnit report, which CI systems show as tests."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from onnx_cam.errors import one_line_text

if TYPE_CHECKING:
    from onnx_cam.builds.result import Diff

__all__ = ["as_junit"]


def as_junit(diff: Diff) -> str:
    """Return a test for each gate: passed, failed, or skipped where it cannot be judged.

    Examples
    --------
    >>> import onnx_cam
    >>> text = as_junit(onnx_cam.diff("model.onnx", "model.onnx", ["cat.jpg", "dog.jpg"]))
    >>> ElementTree.fromstring(text).get("skipped")
    '2'
    """
    failures = sum(judged.failed is True for judged in diff.gates)
    skipped = sum(judged.failed is None for judged in diff.gates)
    name = one_line_text(f"{diff.old['name']} → {diff.new['name']}")
    counts = {"tests": str(len(diff.gates)), "failures": str(failures), "errors": "0", "skipped": str(skipped)}
    suite = ElementTree.Element("testsuite", {"name": f"onnx-cam diff: {name}", **counts})
    for judged in diff.gates:
        case = ElementTree.SubElement(suite, "testcase", {"classname": "onnx-cam.diff", "name": judged.gate.text})
        if judged.failed is None:
            ElementTree.SubElement(case, "skipped", {"message": judged.reason})
        elif judged.failed:
            ElementTree.SubElement(case, "failure", {"message": judged.reason}).text = judged.reason
        else:
            ElementTree.SubElement(case, "system-out").text = judged.reason
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=False) + "\n"
