"""What grpcio-tools generates from the protos, made anew for each run: messages, enumerations and stubs, all in `pb`."""

import importlib
import pathlib
import sys
import tempfile
from types import SimpleNamespace

from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def generate():
    files = [str(path.relative_to(PROTO)) for path in sorted(PROTO.glob("liaison/v1/*.proto"))]
    names = {}
    with tempfile.TemporaryDirectory() as out:
        if protoc.main(["protoc", f"-I{PROTO}", f"--python_out={out}", f"--grpc_python_out={out}", *files]) != 0:
            sys.exit(f"{PROTO}: the stubs cannot be generated")
        sys.path.insert(0, out)
        for file in files:
            for suffix in ("_pb2", "_pb2_grpc"):
                names |= vars(importlib.import_module(file.removesuffix(".proto").replace("/", ".") + suffix))
        sys.path.remove(out)
    return SimpleNamespace(**names)


pb = generate()
