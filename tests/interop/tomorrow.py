"""Tomorrow's contract: today's, and a field, an RPC and a service that the service lacks.

The clients are generated from it, as those of callers who are ahead of the service. What
they send of today's contract is the same to the byte.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.rpc import error_details_pb2

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
CONTRACT = Path("coupon/v1/coupon.proto")
UNKNOWN_FIELD = "sent_by_tomorrow"
UNKNOWN_RPC = "RedeemCoupon"
UNKNOWN_SERVICE = "coupon.v1.TomorrowService"

_ADDITIONS = {
    "message IssueCouponRequest {": f"  string {UNKNOWN_FIELD} = 1000;",
    "service CouponService {": (
        f"  rpc {UNKNOWN_RPC}(IssueCouponRequest) returns (IssueCouponResponse);"
    ),
}
_NEW_SERVICE = """
service TomorrowService {
  rpc IssueCoupon(IssueCouponRequest) returns (IssueCouponResponse);
}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tomorrow:
    """The contract in `protos`; `image` holds it and the standard messages for buf."""

    protos: Path
    image: Path

    def generate(self, out: Path, *plugins: Sequence[str], options: Sequence[str] = ()) -> Path:
        """Generate code with buf's local plugins, each of them a command."""
        out.mkdir(exist_ok=True)
        chosen = [{"local": list(plugin), "out": str(out), "opt": options} for plugin in plugins]
        template = json.dumps({"version": "v2", "plugins": chosen})
        _run(BIN / "buf", "generate", self.image, "--template", template)
        return out

    def generate_google(self, out: Path) -> Path:
        """Generate Google's Python code, with Google's compiler."""
        out.mkdir(exist_ok=True)
        protoc = (sys.executable, "-m", "grpc_tools.protoc", f"-I{self.protos}")
        _run(*protoc, f"--python_out={out}", f"--grpc_python_out={out}", CONTRACT)
        return out


def write_tomorrow(folder: Path) -> Tomorrow:
    """Write tomorrow's contract into a folder."""
    made = Tomorrow(protos=folder / "proto", image=folder / "tomorrow.binpb")
    shutil.copytree(ROOT / "proto", made.protos)
    contract = made.protos / CONTRACT
    contract.write_text(_of_tomorrow(contract.read_text("utf-8")), "utf-8")
    standard = made.protos / "google" / "rpc"
    standard.mkdir(parents=True)
    shutil.copy(Path(error_details_pb2.__file__).with_name("error_details.proto"), standard)
    _run(BIN / "buf", "build", made.protos, "-o", made.image)
    return made


def _of_tomorrow(contract: str) -> str:
    for opening, addition in _ADDITIONS.items():
        assert contract.count(opening) == 1
        contract = contract.replace(opening, f"{opening}\n{addition}\n")
    return contract + _NEW_SERVICE


def _run(*command: str | Path) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
