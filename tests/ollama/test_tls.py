"""TLS with certificates made for the test: who is trusted, who is not, and what is said then."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
import warnings
from pathlib import Path

import pytest

from fleet.codes import Code
from fleet.errors import HostError, HostUnreachable, OutcomeUnknown
from fleet.ollama.client import Uploaded
from fleet.ollama.credentials import Trust, tls_context
from fleet.ollama.limits import NO_RETRIES, Limits
from tests.ollama.sockets import STREAM_HEAD, Request, Served, always, line, reply, serving
from tests.ollama.uploads import DIGEST, MIB, MUCH, THERE, Blocks, Taking, Upload, taking, taking_all

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl program makes the certificates")
VERSION = always(reply({"version": "0.32.15"}))


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority `ca`, and `server` (for 127.0.0.1 and gpu-b.internal), `client` and `expired` signed by it."""
    made = tmp_path_factory.mktemp("tls")
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256")
    ca = ("-x509", *curve, "-days", "30", "-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign")
    for name in ("ca", "stranger"):
        openssl("req", *ca, "-keyout", f"{made}/{name}.key", "-out", f"{made}/{name}.pem")
    for name, days, san in (
        ("server", "30", "IP:127.0.0.1,DNS:gpu-b.internal"),
        ("elsewhere", "30", "DNS:elsewhere.internal"),
        ("client", "30", "DNS:fleet"),
        ("expired", "-1", "IP:127.0.0.1"),
    ):
        subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName={san}")
        openssl("req", "-new", *curve, *subject, "-keyout", f"{made}/{name}.key", "-out", f"{made}/{name}.csr")
        signed = ("-CA", f"{made}/ca.pem", "-CAkey", f"{made}/ca.key", "-CAcreateserial", "-copy_extensions", "copy")
        openssl("x509", "-req", "-in", f"{made}/{name}.csr", *signed, "-days", days, "-out", f"{made}/{name}.pem")
    return made


def server_context(folder: Path, name: str, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if wants_client:
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def asked(context: ssl.SSLContext, trust: Trust | None) -> str:
    """The version that the server told, or the error."""

    async def run() -> str:
        # The server's side of a refused handshake is no news here.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with serving(VERSION, tls=context) as served, served.client(tls=trust, retries=NO_RETRIES) as client:
            return str(await client.version())

    return asyncio.run(run())


def refused(context: ssl.SSLContext, trust: Trust | None) -> HostUnreachable:
    with pytest.raises(HostUnreachable) as failed:
        asked(context, trust)
    assert "https://127.0.0.1:" in str(failed.value)
    return failed.value


def test_an_authority_of_the_inventory_is_trusted(folder: Path) -> None:
    assert asked(server_context(folder, "server"), Trust(ca_file=str(folder / "ca.pem"))) == "0.32.15"


@pytest.mark.fault("N5")
@pytest.mark.parametrize("trusted", [None, "stranger.pem"])
def test_an_unknown_authority_is_not(folder: Path, trusted: str | None) -> None:
    trust = Trust(ca_file=str(folder / trusted)) if trusted else None
    error = refused(server_context(folder, "server"), trust)
    assert error.code is Code.TLS_FAILED
    assert "issuer" in str(error)


@pytest.mark.fault("N5")
def test_an_expired_certificate_is_refused_with_the_reason(folder: Path) -> None:
    error = refused(server_context(folder, "expired"), Trust(ca_file=str(folder / "ca.pem")))
    assert error.code is Code.TLS_FAILED
    assert "expired" in str(error)
    assert re.search(r"; the certificate is valid from \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d: https://", str(error))


@pytest.mark.fault("N5")
def test_the_name_is_checked_and_may_be_given(folder: Path) -> None:
    authority = str(folder / "ca.pem")
    error = refused(server_context(folder, "elsewhere"), Trust(ca_file=authority))
    assert error.code is Code.TLS_FAILED
    assert "127.0.0.1" in str(error)
    named = Trust(ca_file=authority, server_name="elsewhere.internal")
    assert asked(server_context(folder, "elsewhere"), named) == "0.32.15"


@pytest.mark.fault("N5")
def test_a_client_certificate_is_shown_where_there_is_one(folder: Path) -> None:
    context = server_context(folder, "server", wants_client=True)
    authority = str(folder / "ca.pem")
    certain = Trust(authority, str(folder / "client.pem"), str(folder / "client.key"))
    assert asked(context, certain) == "0.32.15"
    assert refused(context, Trust(authority)).code in {Code.TLS_FAILED, Code.UNREACHABLE}


@pytest.mark.fault("N5")
def test_a_server_without_tls_is_not_spoken_to_in_the_clear() -> None:
    heard = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def run() -> HostUnreachable:
        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        served = Served(server.sockets[0].getsockname()[1], scheme="https")
        async with server, served.client(retries=NO_RETRIES) as client:
            with pytest.raises(HostUnreachable) as failed:
                await client.version()
            return failed.value

    assert asyncio.run(run()).code is Code.TLS_FAILED
    assert len(heard) == 1
    assert b"GET" not in heard[0]


async def hold(_request: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(STREAM_HEAD + line(status="pulling manifest"))
    await writer.drain()
    await asyncio.sleep(30)
    return False


def test_a_slow_answer_over_tls_is_slow_and_not_distrusted(folder: Path) -> None:
    async def run() -> HostUnreachable:
        context = server_context(folder, "server")
        trust = Trust(ca_file=str(folder / "ca.pem"))
        async with serving(hold, tls=context) as served, served.client(tls=trust, limits=Limits(answer=0.3)) as client:
            with pytest.raises(HostUnreachable) as failed:
                await client.version()
            return failed.value

    assert asyncio.run(run()).code is Code.NO_ANSWER


def test_a_stream_cut_over_tls_is_cut_and_not_distrusted(folder: Path) -> None:
    async def cut(_request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(STREAM_HEAD + line(status="pulling manifest"))
        await writer.drain()
        writer.transport.abort()
        return False

    async def run() -> OutcomeUnknown:
        context = server_context(folder, "server")
        trust = Trust(ca_file=str(folder / "ca.pem"))
        async with serving(cut, tls=context) as served, served.client(tls=trust) as client:
            with pytest.raises(OutcomeUnknown) as failed:
                _ = [each async for each in client.pull("m")]
            return failed.value

    assert asyncio.run(run()).code is Code.STREAM_CUT


def sent(context: ssl.SSLContext, trust: Trust | None, handle: Taking, blocks: Blocks) -> Uploaded:
    async def run() -> Uploaded:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        async with taking(handle, tls=context) as host, host.client(tls=trust) as client:
            return await client.upload_blob(DIGEST, blocks, blocks.size)

    return asyncio.run(run())


def test_an_upload_goes_to_whom_is_trusted_under_the_name_that_is_given(folder: Path) -> None:
    named = Trust(ca_file=str(folder / "ca.pem"), server_name="elsewhere.internal")
    blocks = Blocks(3 * MIB + 1)
    assert sent(server_context(folder, "elsewhere"), named, taking_all(blocks.size), blocks) is Uploaded.SENT


def test_an_upload_shows_the_client_certificate(folder: Path) -> None:
    context = server_context(folder, "server", wants_client=True)
    authority = str(folder / "ca.pem")
    certain = Trust(authority, str(folder / "client.pem"), str(folder / "client.key"))
    assert sent(context, certain, taking_all(MIB), Blocks(MIB)) is Uploaded.SENT
    with pytest.raises(HostError):
        sent(context, Trust(authority), taking_all(MIB), Blocks(MIB))


@pytest.mark.parametrize("server", ["server", "expired"])
def test_nothing_is_sent_to_whom_is_not_trusted(folder: Path, server: str) -> None:
    authority = "stranger.pem" if server == "server" else "ca.pem"
    blocks = Blocks(MIB)
    with pytest.raises(HostUnreachable) as failed:
        sent(server_context(folder, server), Trust(ca_file=str(folder / authority)), taking_all(MIB), blocks)
    assert failed.value.code is Code.TLS_FAILED
    assert blocks.asked == 0


def test_an_early_answer_is_heard_over_tls_too(folder: Path) -> None:
    async def at_once(upload: Upload) -> None:
        await upload.say(THERE)
        await upload.reader.read()

    blocks = Blocks(MUCH)
    trust = Trust(ca_file=str(folder / "ca.pem"))
    assert sent(server_context(folder, "server"), trust, at_once, blocks) is Uploaded.THERE
    assert blocks.asked < MUCH


def test_a_certificate_that_was_replaced_makes_a_new_context(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(folder / "stranger.pem", file)
    trust = Trust(ca_file=str(file))
    before = tls_context(trust)
    assert tls_context(trust) is before
    refused(server_context(folder, "server"), trust)
    file.write_bytes((folder / "ca.pem").read_bytes() + b"\n")
    assert tls_context(trust) is not before
    assert asked(server_context(folder, "server"), trust) == "0.32.15"


def test_a_key_that_wants_a_passphrase_fails_instead_of_asking(folder: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    openssl("ec", "-in", f"{folder}/client.key", "-aes256", "-passout", "pass:hunter2", "-out", str(locked))
    with pytest.raises(HostUnreachable) as failed:
        tls_context(Trust(cert_file=str(folder / "client.pem"), key_file=str(locked)))
    assert failed.value.code is Code.CREDENTIALS_UNREADABLE


@pytest.mark.fault("K8")
def test_a_key_that_others_may_read_is_refused_again_after_it_was_private(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "client.key"
    shutil.copy(folder / "client.key", key)
    key.chmod(0o600)
    trust = Trust(cert_file=str(folder / "client.pem"), key_file=str(key))
    tls_context(trust)
    key.chmod(0o640)
    with pytest.raises(HostUnreachable) as failed:
        tls_context(trust)
    assert failed.value.code is Code.CREDENTIALS_UNREADABLE
    assert f"chmod 600 {key}" in str(failed.value.hint)
    tls_context(Trust(cert_file=trust.cert_file, key_file=trust.key_file, handed_over=str(tmp_path)))


def old_server(folder: Path, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Speaks that version alone, where the library still can."""
    context = server_context(folder, "server")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = version
        context.minimum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def spoken(version: ssl.TLSVersion, folder: Path) -> bool:
    """Whether a client that takes anything and a server of that version come together here, without a wire."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = ssl.TLSVersion.TLSv1
    client.set_ciphers("ALL:@SECLEVEL=0")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(back, there), old_server(folder, version).wrap_bio(there, back, server_side=True)]
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError:
                return False
    return sides[0].version() is not None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_protocols_are_not_spoken(folder: Path, version: ssl.TLSVersion) -> None:
    if not spoken(version, folder):
        pytest.skip("the OpenSSL of this machine serves no such version")
    error = refused(old_server(folder, version), Trust(ca_file=str(folder / "ca.pem")))
    # Servers hang up without an alert where no version is common to both.
    assert error.code in {Code.TLS_FAILED, Code.UNREACHABLE}
    assert "SSL" in str(error) or "TLS" in str(error)


def test_1_2_is_the_oldest_that_is_spoken(folder: Path) -> None:
    context = server_context(folder, "server")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert asked(context, Trust(ca_file=str(folder / "ca.pem"))) == "0.32.15"
