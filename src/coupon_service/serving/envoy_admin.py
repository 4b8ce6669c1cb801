"""The commands and figures of an Envoy, over its admin socket."""

import http.client
import json
import re
import socket

COMMAND_SECONDS_MAX = 5


def command(admin_path: str, method: str, target: str) -> bytes:
    """Give Envoy a command and return what it says.

    Raises:
        OSError: Envoy does not take commands.
    """
    connection = http.client.HTTPConnection("localhost", timeout=COMMAND_SECONDS_MAX)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.sock.settimeout(COMMAND_SECONDS_MAX)
        connection.sock.connect(admin_path)
        connection.request(method, target)
        return connection.getresponse().read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def figures(admin_path: str, *names: str) -> dict[str, int]:
    """Return some of Envoy's figures by name; those that were never counted are missing.

    Raises:
        OSError: Envoy does not take commands.
    """
    wanted = "|".join(re.escape(name) for name in names)
    listed = json.loads(command(admin_path, "GET", f"/stats?format=json&filter=^({wanted})$"))
    return {each["name"]: each["value"] for each in listed["stats"] if "name" in each}
