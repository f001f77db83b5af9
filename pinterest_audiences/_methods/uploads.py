"""Uploads in parts: create, run, get, the parts themselves, and all of it in one call.

Experimental: Pinterest called these operations a closed beta until 5.23 and documents neither the
form of the file nor who has access. ``customer_lists_update`` needs none of it.
"""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

from anyio import to_thread

from pinterest_audiences._methods.base import AsyncMethods, Methods
from pinterest_audiences._wire import json_bodies, operations, settings, uploads
from pinterest_audiences._wire.parts import CutFile, UploadFile, cut
from pinterest_audiences.errors import APIError, CallError
from pinterest_audiences.models import (
    CreatedUpload,
    CustomerListUpload,
    OperationType,
    UploadState,
)

__all__ = ["AsyncUploads", "Uploads"]

_Ids: TypeAlias = tuple[str | int, str | int, str | int]


class AsyncUploads(AsyncMethods):
    """The upload calls of :class:`AsyncClient`."""

    async def customer_list_uploads_create(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation: OperationType | str,
        total_parts: int,
    ) -> CreatedUpload:
        """Create an upload, and get the addresses for its parts.

        Experimental. An upload that is never run changes nothing. Each call makes an upload of
        its own, so one whose answer was lost is *not* repeated.

        Source: customer_list_uploads/create of Pinterest's API description, 5.23.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            operation: ``ADD`` or ``REMOVE``: what is done with the records of the file.
            total_parts: 1 to 10; each part but the last must hold 5 MB.

        Returns:
            The upload, and where its parts go. The addresses are secrets.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            NotFoundError: There is no such list for this token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = {"ad_account_id": ad_account_id, "customer_list_id": customer_list_id}
        body = json_bodies.upload_create(operation=operation, total_parts=total_parts)
        return await self._session.send(
            operations.CUSTOMER_LIST_UPLOADS_CREATE.call(ids, body=body)
        )

    async def customer_list_uploads_run(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        customer_list_upload_id: str | int,
    ) -> CustomerListUpload:
        """Start the processing of an upload whose parts are all in place.

        Experimental. What a second run does is not documented, so a call whose answer was lost is
        *not* repeated; :meth:`customer_list_uploads_get` tells whether it runs.

        Source: customer_list_uploads/run of Pinterest's API description, 5.23.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            customer_list_upload_id: 1 to 18 digits.

        Returns:
            The upload, mostly RUNNING.

        Raises:
            ConfigurationError: An id is wrong; nothing was sent.
            NotFoundError: There is no such upload for this token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = _ids(ad_account_id, customer_list_id, customer_list_upload_id)
        return await self._session.send(operations.CUSTOMER_LIST_UPLOADS_RUN.call(ids))

    async def customer_list_uploads_get(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        customer_list_upload_id: str | int,
    ) -> CustomerListUpload:
        """Fetch one upload: how far it is, and what became of its records.

        Source: customer_list_uploads/get of Pinterest's API description, 5.23.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            customer_list_upload_id: 1 to 18 digits.

        Returns:
            The upload.

        Raises:
            ConfigurationError: An id is wrong; nothing was sent.
            NotFoundError: There is no such upload for this token.
            CallError: The call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        ids = _ids(ad_account_id, customer_list_id, customer_list_upload_id)
        return await self._session.send(operations.CUSTOMER_LIST_UPLOADS_GET.call(ids))

    async def put_file_parts(self, upload: CreatedUpload, file: UploadFile) -> None:
        """Send a file to the addresses of an upload that was just created.

        The file is cut between lines into as many parts as the upload has addresses, and read
        from disk while it is sent. A part is sent again when its connection breaks or the storage
        fails. The access token is not sent there, redirects are not followed, and plain http is
        for loopback hosts only.

        Args:
            upload: What :meth:`customer_list_uploads_create` returned.
            file: The path of a file, or bytes. Pinterest does not document its form: one record a
                line is the likely one. It is sent as it is: clean and hash it before.

        Raises:
            ConfigurationError: The file is too small for so many parts; nothing was sent.
            SourceError: The file cannot be read, is empty, or was changed meanwhile.
            UploadError: The storage refused a part; its address may have expired.
            TransportError: A connection to the storage failed.
            DecodeError: The upload's addresses are not what the API describes.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        self._session.check_usable()
        count = len(uploads.addresses(upload))
        await self._put(upload, await to_thread.run_sync(cut, file, count))

    async def upload_file_in_parts(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        file: UploadFile,
        *,
        operation: OperationType | str = OperationType.ADD,
        total_parts: int | None = None,
        wait: float = 3600.0,
    ) -> CustomerListUpload:
        """Upload a file of records to a list, and wait until Pinterest has processed it.

        Experimental: it needs access that Pinterest may not have given to your app, and the form
        of the file is not documented. It creates an upload, puts the parts in place, runs it, and
        looks after it at growing intervals.

        Args:
            ad_account_id: 1 to 18 digits.
            customer_list_id: 1 to 18 digits.
            file: As for :meth:`put_file_parts`.
            operation: ``ADD`` or ``REMOVE``: what is done with the records of the file.
            total_parts: 1 to 10; ``None`` makes parts of some 16 MB, ten at most.
            wait: Seconds to wait for the end after the upload was started.

        Returns:
            The upload, SUCCEEDED; its ``record_counts`` and ``error_counts`` tell of the records.

        Raises:
            ConfigurationError: An argument is wrong; nothing was sent.
            SourceError: The file cannot be read, is empty, or was changed meanwhile.
            UploadsUnavailableError: No access to uploads in parts; ``customer_lists_update``
                does the same without them.
            UploadError: The upload FAILED, or the storage refused a part.
            UploadTimeoutError: It was not at its end in time; ``upload.id`` tells which one to
                look after with :meth:`customer_list_uploads_get`.
            CallError: A call failed; which kind tells why.
            ClientClosedError: The client is closed.
            WrongEventLoopError: The client belongs to another event loop.
        """
        self._session.check_usable()
        settings.number("wait", wait, above=0.0)
        cut_file = await to_thread.run_sync(cut, file, total_parts)
        try:
            made = await self.customer_list_uploads_create(
                ad_account_id,
                customer_list_id,
                operation=operation,
                total_parts=len(cut_file.parts),
            )
        except APIError as error:
            if not uploads.no_access(error):
                raise
            raise uploads.unavailable(error) from error
        await self._put(made, cut_file)
        ids = (ad_account_id, customer_list_id, made.customer_list_upload.id)
        return await self._finished(ids, await self._started(ids), wait)

    async def _put(self, upload: CreatedUpload, file: CutFile) -> None:
        for address, part in uploads.matched(upload, file):
            await self._storage.put(address, file, part)

    async def _started(self, ids: _Ids) -> CustomerListUpload:
        """Run an upload; where the answer is lost, look whether it runs."""
        try:
            return await self.customer_list_uploads_run(*ids)
        except CallError as error:
            if not error.maybe_applied:
                raise
            upload = await self.customer_list_uploads_get(*ids)
            if upload.state == UploadState.NOT_STARTED:
                raise
            return upload

    async def _finished(
        self, ids: _Ids, upload: CustomerListUpload, wait: float
    ) -> CustomerListUpload:
        """Wait until an upload is at its end; a state that nobody knows is no end."""
        until = self._clock.monotonic() + wait
        gap = uploads.FIRST_GAP
        while upload.state not in uploads.ENDS:
            left = until - self._clock.monotonic()
            if left <= 0:
                raise uploads.out_of_time(upload, wait)
            await self._clock.sleep(min(gap, left))
            gap = min(gap * uploads.GROWTH, uploads.LONGEST_GAP)
            upload = await self.customer_list_uploads_get(*ids)
        if upload.state == UploadState.FAILED:
            raise uploads.failed(upload)
        return upload


class Uploads(Methods):
    """The upload calls of :class:`Client`."""

    def customer_list_uploads_create(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        *,
        operation: OperationType | str,
        total_parts: int,
    ) -> CreatedUpload:
        """Create an upload, and get the addresses for its parts.

        Arguments, result and errors: :meth:`AsyncClient.customer_list_uploads_create`.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     made = client.customer_list_uploads_create(
            ...         "549", list_id, operation="ADD", total_parts=1
            ...     )
            ...     len(made.s3_multipart_upload_data.file_parts)
            1
        """
        return self._portal.call(
            partial(
                self._client.customer_list_uploads_create,
                ad_account_id,
                customer_list_id,
                operation=operation,
                total_parts=total_parts,
            )
        )

    def customer_list_uploads_run(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        customer_list_upload_id: str | int,
    ) -> CustomerListUpload:
        """Start the processing of an upload whose parts are all in place.

        Arguments, result and errors: :meth:`AsyncClient.customer_list_uploads_run`.
        """
        return self._portal.call(
            self._client.customer_list_uploads_run,
            ad_account_id,
            customer_list_id,
            customer_list_upload_id,
        )

    def customer_list_uploads_get(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        customer_list_upload_id: str | int,
    ) -> CustomerListUpload:
        """Fetch one upload: how far it is, and what became of its records.

        Arguments, result and errors: :meth:`AsyncClient.customer_list_uploads_get`.
        """
        return self._portal.call(
            self._client.customer_list_uploads_get,
            ad_account_id,
            customer_list_id,
            customer_list_upload_id,
        )

    def put_file_parts(self, upload: CreatedUpload, file: UploadFile) -> None:
        """Send a file to the addresses of an upload that was just created.

        Arguments and errors: :meth:`AsyncClient.put_file_parts`.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     made = client.customer_list_uploads_create(
            ...         "549", list_id, operation="ADD", total_parts=1
            ...     )
            ...     client.put_file_parts(made, b"ada@example.com")
            ...     upload_id = made.customer_list_upload.id
            ...     done = client.customer_list_uploads_run("549", list_id, upload_id)
            ...     client.customer_list_uploads_get("549", list_id, upload_id).record_counts.valid
            1
        """
        self._portal.call(self._client.put_file_parts, upload, file)

    def upload_file_in_parts(
        self,
        ad_account_id: str | int,
        customer_list_id: str | int,
        file: UploadFile,
        *,
        operation: OperationType | str = OperationType.ADD,
        total_parts: int | None = None,
        wait: float = 3600.0,
    ) -> CustomerListUpload:
        """Upload a file of records to a list, and wait until Pinterest has processed it.

        Arguments, result and errors: :meth:`AsyncClient.upload_file_in_parts`.

        Example:
            >>> from pinterest_audiences import Client
            >>> from pinterest_audiences.emulator import Emulator
            >>> emulator = Emulator(processing_seconds=0)
            >>> (list_id,) = emulator.seed_lists("549", 1)
            >>> with Client("token", transport=emulator.transport()) as client:
            ...     done = client.upload_file_in_parts("549", list_id, b"ada@example.com,nobody")
            ...     done.record_counts.valid, done.record_counts.invalid
            (1, 1)
        """
        return self._portal.call(
            partial(
                self._client.upload_file_in_parts,
                ad_account_id,
                customer_list_id,
                file,
                operation=operation,
                total_parts=total_parts,
                wait=wait,
            )
        )


def _ids(
    ad_account_id: str | int, customer_list_id: str | int, customer_list_upload_id: str | int
) -> dict[str, str | int]:
    return {
        "ad_account_id": ad_account_id,
        "customer_list_id": customer_list_id,
        "customer_list_upload_id": customer_list_upload_id,
    }
