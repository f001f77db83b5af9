"""Spans and metrics of OpenTelemetry from the events of a client."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pinterest_audiences._errors import ConfigurationError
from pinterest_audiences._http.events import FailureEvent, RequestEvent, ResponseEvent
from pinterest_audiences._version import __version__

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from pinterest_audiences._http.events import CallEvent

__all__ = ["OpenTelemetryHook"]

_NAME = "pinterest_audiences"
_FIRST_ERROR_STATUS = 400
# Those that the semantic conventions recommend for http.client.request.duration.
_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class OpenTelemetryHook:
    """An ``on_event`` that records spans and metrics with OpenTelemetry.

    Each request is a client span, a child of the caller's current span, with the attributes of the
    semantic conventions for HTTP: ``http.request.method``, ``http.response.status_code``,
    ``http.request.resend_count`` of a retry, ``error.type``, ``server.address``, ``server.port``,
    ``url.full`` without its query, ``url.template``; and ``pinterest.operation`` and
    ``pinterest.request_id``. The metrics are the histograms ``http.client.request.duration`` and
    ``pinterest.client.wait.duration``, in seconds, without ids. Needs the extra ``[otel]``.

    Args:
        tracer_provider: Without it the global one.
        meter_provider: Without it the global one.

    Raises:
        ConfigurationError: The package opentelemetry-api is not installed.

    Example:
        >>> from pinterest_audiences import Client, OpenTelemetryHook
        >>> with Client.emulated(on_event=OpenTelemetryHook()) as client:
        ...     client.customer_lists_list("549755885175").collect()
        []
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        try:
            from opentelemetry import metrics, trace  # noqa: PLC0415 - an optional dependency
        except ImportError:
            raise ConfigurationError(
                "OpenTelemetryHook requires the extra [otel]:"
                " pip install 'pinterest-audiences[otel]'"
            ) from None
        self._client_kind = trace.SpanKind.CLIENT
        self._error = trace.StatusCode.ERROR
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._durations = meter.create_histogram(
            "http.client.request.duration",
            unit="s",
            description="Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_BUCKETS_SECONDS,
        )
        self._waits = meter.create_histogram(
            "pinterest.client.wait.duration",
            unit="s",
            description="Waits before retries and for the rate limiter.",
        )
        self._spans: dict[RequestEvent, Span] = {}

    def __call__(self, event: CallEvent) -> None:
        """Record an event.

        Args:
            event: The event.
        """
        match event:
            case RequestEvent():
                self._spans[event] = self._start(event)
            case ResponseEvent(request=request, status=status):
                error_type = str(status) if status >= _FIRST_ERROR_STATUS else None
                self._end(request, event.seconds, status, error_type, event.request_id)
            case FailureEvent(request=request):
                self._end(request, event.seconds, event.status, event.reason, None)
            case _:
                self._waits.record(
                    event.seconds,
                    {
                        "pinterest.operation": event.operation,
                        "pinterest.wait.reason": event.reason,
                    },
                )

    def _start(self, request: RequestEvent) -> Span:
        attributes = self._attributes(request)
        attributes["url.full"] = request.url
        attributes["http.request.body.size"] = request.request_bytes
        if request.attempt > 1:
            attributes["http.request.resend_count"] = request.attempt - 1
        name = f"{request.method} {request.path_template}"
        return self._tracer.start_span(name, kind=self._client_kind, attributes=attributes)

    def _end(
        self,
        request: RequestEvent,
        seconds: float,
        status: int | None,
        error_type: str | None,
        request_id: str | None,
    ) -> None:
        outcome: dict[str, str | int] = {}
        if status is not None:
            outcome["http.response.status_code"] = status
        if error_type is not None:
            outcome["error.type"] = error_type
        self._durations.record(seconds, self._attributes(request) | outcome)
        span = self._spans.pop(request, None)
        if span is None:
            return
        span.set_attributes(outcome)
        if request_id is not None:
            span.set_attribute("pinterest.request_id", request_id)
        if error_type is not None:
            span.set_status(self._error)
        span.end()

    @staticmethod
    def _attributes(request: RequestEvent) -> dict[str, str | int]:
        """Return the attributes of low cardinality, which spans and metrics share."""
        url = urlsplit(request.url)
        return {
            "http.request.method": request.method,
            "server.address": url.hostname or "",
            "server.port": url.port or (443 if url.scheme == "https" else 80),
            "url.scheme": url.scheme,
            "url.template": request.path_template,
            "pinterest.operation": request.operation,
        }
