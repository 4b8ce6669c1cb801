"""The direction of imports, read from the sources."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import coupon_service

PACKAGE = Path(coupon_service.__file__).parent
OURS = "coupon_service"
ROOMS = ("access", "metering", "serving")


def sources() -> Iterator[tuple[str, Path]]:
    """Yield our modules by their names within the package, such as serving.server."""
    for path in PACKAGE.glob("*.py"):
        yield path.stem, path
    for room in ROOMS:
        for path in (PACKAGE / room).glob("*.py"):
            yield f"{room}.{path.stem}", path


MODULES = {name: ast.parse(path.read_text("utf-8")) for name, path in sources()}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full name of everything that is imported anywhere in a source."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom():
                assert node.level == 0, "imports say their module's full name"
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def users_of(package: str) -> set[str]:
    """Return our modules that import a package, or part of one."""
    return {
        module
        for module, tree in MODULES.items()
        if any(f"{name}.".startswith(f"{package}.") for name in imported(tree))
    }


def own_imports(module: str) -> set[str]:
    """Return which modules of ours a module imports itself."""
    names = [name.split(".")[1:4] for name in imported(MODULES[module]) if inside(name)]
    return {".".join(name[: 2 if name[0] in ROOMS else 1]) for name in names}


def inside(name: str) -> bool:
    """Tell whether a full name is of our package."""
    return name.startswith(f"{OURS}.")


def reached_from(module: str) -> set[str]:
    """Return which modules of ours a module imports, directly or through others."""
    reached: set[str] = set()
    new = own_imports(module)
    while new:
        reached |= new
        new = {name for each in new & MODULES.keys() for name in own_imports(each)} - reached
    return reached


def test_the_sources_are_found() -> None:
    within = {"issuing", "line", "waiting", "gate", "store", "session", "queries"}
    assert within | {"app", "codes", "domain", "errors", "rpc"} < MODULES.keys()


@pytest.mark.parametrize("module", ["codes", "domain", "errors"])
def test_the_innermost_import_only_the_standard_library_and_one_another(module: str) -> None:
    others = {
        name
        for name in imported(MODULES[module])
        if name.split(".")[0] not in sys.stdlib_module_names
        and ".".join(name.split(".")[:2]) not in {f"{OURS}.{x}" for x in innermost()}
    }
    assert others == set()


def innermost() -> set[str]:
    return {"codes", "domain", "errors"}


def test_queries_import_nothing() -> None:
    assert list(imported(MODULES["queries"])) == []


def test_the_database_driver_is_known_to_few() -> None:
    few = {"store", "lending", "session", "schema", "migrating", "changes", "cli"}
    few |= {"serving.server"}
    assert users_of("asyncpg") - few == set()


def test_the_command_line_knows_the_database_driver_only_in_migrate() -> None:
    (migrate,) = [
        node
        for node in MODULES["cli"].body
        if isinstance(node, ast.FunctionDef) and node.name == "migrate"
    ]
    inside = [name for name in imported(migrate) if name.startswith("asyncpg")]
    everywhere = [name for name in imported(MODULES["cli"]) if name.startswith("asyncpg")]
    assert inside == everywhere


@pytest.mark.parametrize("package", ["connectrpc", f"{OURS}.gen"])
def test_the_wire_is_known_only_to_its_border(package: str) -> None:
    border = {"rpc", "rpc_errors", "error_border", "rpc_application"}
    border |= {"parsing", "replies", "codecs"}
    border |= {"app", "client", "cli_calls"}
    border |= {"access.checks", "access.guards", "access.limiting"}
    border |= {"health", "reflection", "metering.rpc_counting", "serving.wire_refusals"}
    assert users_of(package) - border == set()


@pytest.mark.parametrize("module", ["issuing", "line", "waiting"])
def test_issuing_reaches_nothing_that_is_above_it(module: str) -> None:
    above = {name for name in MODULES if name.startswith("rpc")} | {
        "app",
        "cli",
        "cli_calls",
        "client",
        "health",
        "metering.metrics",
        "parsing",
        "replies",
        "serving.server",
        "gen",
    }
    assert reached_from(module) & above == set()


@pytest.mark.parametrize("package", ["prometheus_client", "starlette", "connectrpc_grpcreflect"])
def test_each_library_of_the_surface_is_known_to_one_part(package: str) -> None:
    parts = {
        "prometheus_client": {"metering.metrics", "metering.metric_families"},
        "starlette": {"cors"},
        "connectrpc_grpcreflect": {"reflection"},
    }
    assert users_of(package) == parts[package]


def test_only_the_application_puts_the_surface_together() -> None:
    surface = {"health", "reflection", "cors", "metering.metrics"}
    users = {name for name in MODULES for part in surface if part in own_imports(name)}
    assert users == {"app", "metering.rpc_counting"}


@pytest.mark.parametrize("module", ["store", "session"])
def test_the_store_reaches_nothing_of_issuing(module: str) -> None:
    assert reached_from(module) & {"gate", "waiting", "line", "issuing"} == set()


@pytest.mark.parametrize("module", ["gate", "waiting"])
def test_the_gate_and_those_in_line_reach_only_domain_and_errors(module: str) -> None:
    assert reached_from(module) == {"domain", "errors"}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_module_imports_itself_through_others(module: str) -> None:
    assert module not in reached_from(module)


def test_only_the_command_line_s_moments_read_the_wall_clock() -> None:
    readers = {module for module, tree in MODULES.items() if any(wall_clock_readings(tree))}
    assert readers == {"moments"}


def wall_clock_readings(tree: ast.AST) -> Iterator[str]:
    """Yield what reads the host's wall clock, under the names it is used by here."""
    readings = {
        "time": {"time", "time_ns", "gmtime", "localtime", "ctime"},
        "datetime": {"now", "utcnow", "today"},
        "date": {"today"},
        "Timestamp": {"now"},
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if node.attr in readings.get(owner, ()):
                yield ast.unparse(node)
    yield from (name for name in imported(tree) if name in {"time.time", "time.time_ns"})
