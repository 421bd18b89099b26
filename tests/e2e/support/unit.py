# SPDX-License-Identifier: BSD-3-Clause
"""The runner's result: each test is printed as a sentence with its time, and has only so much of it."""

import signal
import time
import unittest

LIMIT_S = 300


class TookTooLong(BaseException):
    """No Exception, so that neither a test nor what takes a lab down takes it for one of its own."""


class Result(unittest.TestResult):
    """Prints one line a test. A skipped test has shown nothing, so it counts as failed."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.failed = 0
        self._began = 0.0
        signal.signal(signal.SIGALRM, self._too_long)

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()
        signal.alarm(LIMIT_S)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    @staticmethod
    def _too_long(*_):
        raise TookTooLong(f"the test has not ended within {LIMIT_S} s; the lines above say where it was")

    def _line(self, outcome, test, detail=""):
        seconds = time.monotonic() - self._began
        print(f"{outcome:<6} {seconds:6.1f} s  {test.shortDescription() or test.id()}", flush=True)
        if detail:
            print(detail, flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self._line("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._fail(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._fail(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._fail(subtest, self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._fail(test, f"skipped: {reason}")

    def _fail(self, test, detail):
        self.failed += 1
        self._line("FAILED", test, detail)
