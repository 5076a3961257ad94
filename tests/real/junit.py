"""Reads a JUnit report with a public parser and compares its counts with the JSON report of the same run."""

import json
import sys

from junitparser import Error, Failure, JUnitXml, Skipped

xml = JUnitXml.fromfile(sys.argv[1])
report = json.load(open(sys.argv[2], encoding="utf-8"))
cases = {suite.name: list(suite) for suite in xml}


def count(suite, kind):
    return sum(any(isinstance(result, kind) for result in case.result) for case in cases[suite])


for suite in xml:
    assert suite.tests == len(cases[suite.name]), (suite.name, suite.tests)
    assert suite.failures == count(suite.name, Failure), suite.name
    assert suite.errors == count(suite.name, Error), suite.name
    assert suite.skipped == count(suite.name, Skipped), suite.name

assert len(cases["checks"]) == len(report["checks"])
for name in ("golden", "adversarial"):
    rows = [row for row in report["scenarios"] if row["suite"] == name]
    assert len(cases[name]) == len(rows), name
    assert count(name, Failure) == sum(row["grade"] in ("fail_b", "fail_c") for row in rows), name
assert count("verdict", Failure) + count("verdict", Error) > 0, "a verdict that is not GO must not look green"
