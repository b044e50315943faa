"""Which tests may be skipped, when a skip is a failure, and what Ctrl-C does."""

import importlib.util
import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "notebooks"))        # where the GRU of notebook 11 is

REQUIRE_ORACLES = os.environ.get("MINIBN_REQUIRE_ORACLES") == "1"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:   # what a shell gives to background commands
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _has_cuda():
    if importlib.util.find_spec("cupy") is None:
        return False
    import cupy

    return cupy.cuda.is_available()


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not _has_cuda():
        pytest.skip("needs CuPy and a CUDA device")


def _fail_skipped(report, what):
    if REQUIRE_ORACLES and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{what} was skipped although MINIBN_REQUIRE_ORACLES=1: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if item.get_closest_marker("oracle"):
        _fail_skipped(report, "an oracle test")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    # A whole file skipped at collection (importorskip at its top) would hide its oracle tests.
    report = yield
    _fail_skipped(report, "a whole file")
    return report


def pytest_terminal_summary(terminalreporter):
    ran = [r for r in terminalreporter.stats.get("passed", []) if "oracle" in r.keywords]
    terminalreporter.write_line(f"oracle tests passed: {len(ran)}")
    killed, survived = ([r for r in terminalreporter.stats.get(outcome, []) if "test_mutant_is_killed[" in r.nodeid]
                        for outcome in ("passed", "failed"))
    if killed or survived:
        terminalreporter.write_line(f"mutants: {len(killed) + len(survived)}, killed: {len(killed)}")


def pytest_sessionfinish(session):
    if not REQUIRE_ORACLES or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not any("oracle" in r.keywords for r in reporter.stats.get("passed", [])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
