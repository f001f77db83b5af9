"""Table tests: one test for many cases, which lists every case that fails."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import wraps
from typing import Any, TypeAlias

import pytest
from _pytest.mark.structures import ParameterSet

__all__ = ["each_case"]

Test: TypeAlias = Callable[..., Any]
_FAILURES = (Exception, pytest.fail.Exception)
_MAX_NAME_CHARACTERS = 200


def each_case(names: str | Sequence[str], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """Run a test for each case, like `pytest.mark.parametrize`, but as a single test.

    For large tables of quick cases. All cases share the fixtures of the test, so that a case must
    not depend on a fresh one. Several of these decorators combine all their cases.
    """
    parameters = (names,) if isinstance(names, str) else tuple(names)
    table = [_arguments(parameters, case) for case in cases]

    def decorate(check: Test) -> Test:
        def run(given: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[str]]]:
            failures: list[str] = []
            for arguments in table:
                yield {**given, **arguments}, failures
            assert not failures, "\n".join([f"{len(failures)} of {len(table)} cases:", *failures])

        @wraps(check)
        def test(**given: Any) -> None:
            for arguments, failures in run(given):
                try:
                    check(**arguments)
                except _FAILURES as error:
                    failures.append(_describe(arguments, given, error))

        @wraps(check)
        async def async_test(**given: Any) -> None:
            for arguments, failures in run(given):
                try:
                    await check(**arguments)
                except _FAILURES as error:
                    failures.append(_describe(arguments, given, error))

        decorated: Any = async_test if inspect.iscoroutinefunction(check) else test
        signature = inspect.signature(check)
        assert not set(parameters) - set(signature.parameters), "unknown parameter"
        decorated.__signature__ = signature.replace(
            parameters=[p for p in signature.parameters.values() if p.name not in parameters]
        )
        return decorated  # type: ignore[no-any-return]  # the test without these parameters

    return decorate


def _arguments(parameters: tuple[str, ...], case: Any) -> dict[str, Any]:
    if isinstance(case, ParameterSet):
        values: Sequence[Any] = case.values
    else:
        values = (case,) if len(parameters) == 1 else case
    return dict(zip(parameters, values, strict=True))


def _describe(arguments: dict[str, Any], given: dict[str, Any], error: BaseException) -> str:
    case = {name: value for name, value in arguments.items() if name not in given}
    text = ", ".join(f"{name}={value!r}" for name, value in case.items())
    return f"[{text[:_MAX_NAME_CHARACTERS]}] {type(error).__name__}: {error}"
