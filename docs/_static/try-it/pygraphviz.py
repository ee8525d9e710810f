"""What `tinygrad_edu` uses of PyGraphviz, where Graphviz is a WebAssembly module.

PyGraphviz cannot be installed in a browser. The worker of the page gives `layOut`,
which calls Graphviz and returns its answer as JSON.
"""

import json
import re
from types import SimpleNamespace

from js import layOut


class AGraph:
    """A graph from a program in Graphviz's language, and its layout."""

    def __init__(self, string):
        # JSON leaves out the keys of edges; the comment of an edge is in it.
        self._program = re.sub(r"key=(\d+)", r"key=\1, comment=\1", string)

    def layout(self, prog):
        self.graph_attr = json.loads(layOut(self._program, prog))
        objects = self.graph_attr["objects"]
        self._objects = {x["name"]: x for x in objects}
        self._edges = {
            (objects[x["tail"]]["name"], objects[x["head"]]["name"], x["comment"]): x
            for x in self.graph_attr.get("edges", [])
        }

    def get_node(self, name):
        return SimpleNamespace(attr=self._objects[name])

    def get_edge(self, start, end, key):
        return SimpleNamespace(attr=self._edges[start, end, key])

    def get_subgraph(self, name):
        return SimpleNamespace(
            graph_attr=self._objects[name], get_subgraph=self.get_subgraph
        )

    def close(self):
        """Do nothing: there is nothing to give back."""
