"""The report as SARIF 2.1.0 (OASIS, Static Analysis Results Interchange Format)."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

from privmigrate.audit.accepted import Accepted
from privmigrate.audit.engine import AuditRule
from privmigrate.audit.finding import Finding, Level
from privmigrate.audit.report import Report

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS: Final = {
    Level.CRITICAL: "error",
    Level.HIGH: "error",
    Level.MEDIUM: "warning",
    Level.LOW: "note",
    Level.NOTE: "note",
}
# What code scanners sort by: 0 to 10, as CVSS.
_SEVERITY: Final = {
    Level.CRITICAL: "9.8",
    Level.HIGH: "8.0",
    Level.MEDIUM: "5.5",
    Level.LOW: "3.0",
    Level.NOTE: "0.0",
}
_OWN: Final = (
    ("PM002", "ignore_without_reason", "An ignore without a reason"),
    ("PM003", "ignore_of_nothing", "An ignore that ignores nothing"),
)


def as_sarif(report: Report, rules: Sequence[AuditRule], version: str) -> dict[str, object]:
    """One run, with every rule and every result; accepted ones are suppressed."""
    descriptors = [*map(_descriptor, rules), *(_own(*row) for row in _OWN)]
    index = {str(descriptor["id"]): n for n, descriptor in enumerate(descriptors)}
    results = [_result(finding, index) for finding in report.findings]
    results += [_suppressed(accepted, index) for accepted in report.accepted]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "privmigrate",
                        "version": version,
                        "semanticVersion": version,
                        "rules": descriptors,
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {
                                "level": "warning",
                                "message": {"text": finding.message},
                                "locations": [_location(finding)],
                            }
                            for finding in report.findings
                            if finding.code == "PM001"
                        ],
                    }
                ],
                "results": results,
            }
        ],
    }


def _descriptor(rule: AuditRule) -> dict[str, object]:
    page = rule.page.partition("\n")[2].strip() or rule.title
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("_")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": page},
        "help": {"text": page},
        "defaultConfiguration": {"level": _LEVELS[rule.level]},
        "properties": {"security-severity": _SEVERITY[rule.level], "tags": ["security"]},
    }


def _own(code: str, name: str, title: str) -> dict[str, object]:
    return {
        "id": code,
        "name": "".join(part.capitalize() for part in name.split("_")),
        "shortDescription": {"text": title},
        "defaultConfiguration": {"level": "warning"},
    }


def _result(finding: Finding, index: dict[str, int]) -> dict[str, object]:
    return {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": _LEVELS[finding.level],
        "message": {"text": f"{finding.message}\nInstead: {finding.advice}"},
        "locations": [_location(finding)],
        "partialFingerprints": {"privmigrate/v1": finding.fingerprint},
    }


def _suppressed(accepted: Accepted, index: dict[str, int]) -> dict[str, object]:
    kind = "external" if accepted.reason == "in the baseline" else "inSource"
    return {
        **_result(accepted.finding, index),
        "suppressions": [{"kind": kind, "justification": accepted.reason}],
    }


def _location(finding: Finding) -> dict[str, object]:
    span = finding.span
    path = quote(span.file.encode("utf-8", "surrogateescape"), safe="/")
    uri = f"file://{path}" if span.file.startswith("/") else path
    physical: dict[str, object] = {"artifactLocation": {"uri": uri}}
    if span.line:
        region = {"startLine": span.line}
        if span.column:
            region["startColumn"] = span.column
        physical["region"] = region
    return {"physicalLocation": physical}
