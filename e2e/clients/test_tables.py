"""What the documents say about the tests is true: each test that a table names is there."""

import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DOCUMENT = os.path.join(ROOT, "docs", "tokens-and-cookies.md")
# `path/of/a/file`: `one test`, `another`
NAMED = re.compile(r"`([\w./-]+\.(?:rs|py|mjs))`: (`[^`]+`(?:, `[^`]+`)*)")


def rows():
    """The cells of every row of every table, without heads and rules."""
    with open(DOCUMENT, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    for before, line in zip([""] + lines, lines):
        if line.startswith("|") and before.startswith("|") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def is_test(path, name):
    """Whether the file has a test of this name."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    if "/contract/" in path:  # called one by one by the one test of the store's contract
        module = os.path.basename(path).removesuffix(".rs")
        with open(os.path.join(ROOT, os.path.dirname(path), "mod.rs"), encoding="utf-8") as file:
            return f"{module}::{name}(" in file.read()
    if path.endswith(".rs"):
        marked = rf"#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn {re.escape(name)}\("
        return re.search(marked, text) is not None
    if path.endswith(".py"):
        return name.startswith("test") and re.search(rf"^\s*def {re.escape(name)}\(", text, re.M) is not None
    return any(f"{quote}{name}{quote}" in text for quote in "'\"`")


def test_every_row_names_tests_that_exist():
    found = list(rows())
    assert len(found) > 50, "the tables are read"
    missing = []
    for what, _, shown in found:
        named = NAMED.findall(shown)
        assert named, f"{what}: no test is named"
        missing += [f"{what}: {path} has no test {name!r}" for path, names in named
                    for name in re.findall(r"`([^`]+)`", names)
                    if not os.path.exists(os.path.join(ROOT, path)) or not is_test(path, name)]
    assert not missing, "\n".join(missing)


def test_a_test_that_is_gone_would_be_missed():
    assert is_test("crates/token/src/person.rs", "the_claims_are_those_of_seed_003")
    assert not is_test("crates/token/src/person.rs", "the_claims_are_those_of_seed_004")
    assert not is_test("crates/token/src/person.rs", "seed"), "a helper of tests"
    assert not is_test("crates/store/src/contract/people.rs", "nobody_calls_this")
    assert not is_test("e2e/clients/test_tables.py", "test_every_row")
    assert not is_test("e2e/clients/test_tables.py", "is_test")
    assert not is_test("e2e/browser/login.test.mjs", "a second application")
