"""Spans and metrics, recorded with the SDK of OpenTelemetry."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pinterest_audiences import (
    AsyncClient,
    Client,
    ConfigurationError,
    FailureEvent,
    OpenTelemetryHook,
    RequestEvent,
)
from pinterest_audiences.emulator import Emulator

pytestmark = pytest.mark.anyio

ACCOUNT = "549755885175"
EMAIL = "secret.person@example.com"
TEMPLATE = "/ad_accounts/{ad_account_id}/customer_lists"


class Recorder:
    """A hook, and what it has recorded."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracer_provider = TracerProvider()
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._meter_provider = MeterProvider([self._reader])
        self.hook = OpenTelemetryHook(
            tracer_provider=self.tracer_provider, meter_provider=self._meter_provider
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def points(self, name: str) -> list[HistogramDataPoint]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return [
            point
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
            if isinstance(point, HistogramDataPoint)
        ]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


async def test_span_has_the_attributes_of_the_semantic_conventions(recorder: Recorder) -> None:
    async with AsyncClient.emulated(on_event=recorder.hook) as client:
        await client.customer_lists_create(ACCOUNT, name="Buyers", records=EMAIL)
    (span,) = recorder.spans
    assert (span.name, span.kind) == (f"POST {TEMPLATE}", SpanKind.CLIENT)
    attributes = dict(span.attributes or {})
    assert attributes.pop("pinterest.request_id")
    assert attributes.pop("http.request.body.size")
    assert attributes == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "emulator.invalid",
        "server.port": 443,
        "url.scheme": "https",
        "url.full": f"https://emulator.invalid/v5/ad_accounts/{ACCOUNT}/customer_lists",
        "url.template": TEMPLATE,
        "pinterest.operation": "customer_lists_create",
    }
    assert span.status.status_code is StatusCode.UNSET
    assert EMAIL not in span.to_json()


async def test_each_attempt_is_a_span_and_failures_are_errors(recorder: Recorder) -> None:
    emulator = Emulator()
    emulator.fault("status", status=503)
    emulator.fault("reset_before")
    async with AsyncClient.emulated(
        emulator, clock=emulator.clock, on_event=recorder.hook
    ) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    names = ("http.request.resend_count", "http.response.status_code", "error.type")
    assert [
        tuple((span.attributes or {}).get(name) for name in names) for span in recorder.spans
    ] == [
        (None, 503, "503"),
        (1, None, "reset"),
        (2, 200, None),
    ]
    codes = [span.status.status_code for span in recorder.spans]
    assert codes == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]


def test_spans_are_children_of_the_span_of_the_caller(recorder: Recorder) -> None:
    """Also with the synchronous client, whose event loop runs in another thread."""
    tracer = recorder.tracer_provider.get_tracer("of the caller")
    with Client.emulated(on_event=recorder.hook) as client, tracer.start_as_current_span("job"):
        client.customer_lists_list(ACCOUNT).collect()
    request, job = recorder.spans
    assert job.name == "job"
    assert request.parent is not None
    assert job.context is not None
    assert request.parent.span_id == job.context.span_id


async def test_durations_and_waits_are_histograms_without_ids(recorder: Recorder) -> None:
    emulator = Emulator(clock=lambda: 1_700_000_000.0)
    emulator.fault("status", status=429, headers={"retry-after": "60"})
    emulator.fault("slow", seconds=3)
    async with AsyncClient.emulated(
        emulator, clock=emulator.clock, on_event=recorder.hook
    ) as client:
        await client.customer_lists_list(ACCOUNT).collect()
    refused, answered = sorted(
        recorder.points("http.client.request.duration"),
        key=lambda point: int(str((point.attributes or {})["http.response.status_code"])),
        reverse=True,
    )
    assert (refused.attributes or {})["error.type"] == "429"
    assert (answered.count, answered.sum) == (1, 3)
    assert ACCOUNT not in str(answered.attributes)
    assert answered.explicit_bounds[-1] == 10
    (waits,) = recorder.points("pinterest.client.wait.duration")
    assert waits.count == 1
    assert 59 <= waits.sum <= 61
    assert (waits.attributes or {})["pinterest.wait.reason"] == "budget"


def test_end_of_a_request_that_began_before_the_hook_is_measured_without_a_span(
    recorder: Recorder,
) -> None:
    request = RequestEvent(
        call_id=1,
        operation="customer_lists_get",
        method="GET",
        url="https://api.pinterest.com/v5/ad_accounts/1/customer_lists/2",
        path_template="/ad_accounts/{ad_account_id}/customer_lists/{customer_list_id}",
        attempt=1,
        request_bytes=0,
    )
    recorder.hook(FailureEvent(request=request, reason="timeout", seconds=0.5))
    (point,) = recorder.points("http.client.request.duration")
    assert (point.sum, recorder.spans) == (0.5, ())


def test_hook_without_opentelemetry_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'pinterest-audiences\[otel\]'"):
        OpenTelemetryHook()


def test_opentelemetry_is_imported_by_the_hook_only() -> None:
    code = """
import sys
from pinterest_audiences import Client, OpenTelemetryHook
with Client.emulated(on_event=print):
    assert "opentelemetry" not in sys.modules
OpenTelemetryHook()
assert "opentelemetry.trace" in sys.modules
assert "opentelemetry.sdk" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
