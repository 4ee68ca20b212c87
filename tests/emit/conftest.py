import pytest

from compiling import SLUICEC


def pytest_configure(config):
    config.addinivalue_line("markers", "usual_toolchain: of brokers as they are shipped; those of "
                                       "`make check SAN=1` are for the tests alone")


def pytest_collection_modifyitems(items):
    if b"__asan_init" in SLUICEC.read_bytes():
        for item in items:
            if item.get_closest_marker("usual_toolchain"):
                item.add_marker(pytest.mark.skip(reason="the sanitizers need another toolchain"))
