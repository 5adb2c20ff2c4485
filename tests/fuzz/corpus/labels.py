"""Class names in every form that is read, by the name of the file."""

from __future__ import annotations

import json

__all__ = ["LABELS"]

_NAMES = ["bird", "cat, tabby", "fish", "dog's"]
_INDEXED = {str(index): name for index, name in enumerate(_NAMES)}

LABELS: dict[str, list[bytes]] = {
    "labels.txt": [
        "\n".join(_NAMES).encode(),
        b"0 bird\n1 cat\n2 fish\n3 dog\n",
        b"bird,0\ncat,1\nfish,2\ndog,3\n",
        b"\xef\xbb\xbfbird\r\ncat\r\nfish\r\ndog\r\n",
        "bird\ncafé\nfish\ndog\n".encode("utf-16"),
        "bird\ncat\nfish\ndog\n".encode("utf-32"),
        b"bird cat fish dog",
        b'"bird", "cat", "fish", "dog"',
        b"n01440764 tench, Tinca tinca\nn01443537 goldfish\nn01484850 shark\nn01491361 tiger shark\n",
        repr(_NAMES).encode(),
        repr(dict(enumerate(_NAMES))).encode(),
        b"['bird' 'cat'\n 'fish' 'dog']",
        b"OrderedDict([(0, 'bird'), (1, 'cat'), (2, 'fish'), (3, 'dog')])",
        b"dict_values(['bird', 'cat', 'fish', 'dog'])",
        b"array(['bird', 'cat', 'fish', 'dog'], dtype='<U4')",
        b"0: 'bird', 1: 'cat', 2: 'fish', 3: 'dog'",
        b"names:\n  0: bird\n  1: cat\n  2: fish\n  3: dog\n",
        b"names: [bird, cat, fish, dog]\n",
        b"- bird\n- cat\n- fish\n- dog\n",
        b'item {\n  id: 1\n  name: "bird"\n}\nitem {\n  id: 2\n  name: "cat"\n}\n',
    ],
    "labels.json": [
        json.dumps(_NAMES).encode(),
        json.dumps(_INDEXED).encode(),
        json.dumps({name: index for index, name in enumerate(_NAMES)}).encode(),
        json.dumps({"id2label": _INDEXED}).encode(),
        json.dumps({"names": _NAMES, "version": 2}).encode(),
        json.dumps([{"id": index, "name": name} for index, name in enumerate(_NAMES)]).encode(),
        json.dumps({"categories": [{"id": index, "name": name} for index, name in enumerate(_NAMES)]}).encode(),
        json.dumps({index: ["n01440764", name] for index, name in enumerate(_NAMES)}).encode(),
        json.dumps(_NAMES).encode("utf-16"),
    ],
    "labels.yaml": [
        b"names:\n- bird\n- cat\n- fish\n- dog\nnc: 4\n",
        b"path: ../data # comment\nnames:\n  0: 'bird'\n  1: \"cat\"\n  2: fish\n  3: dog\n",
    ],
    "model.names": [b"bird\ncat\nfish\ndog\n"],
}
"""Label files."""
