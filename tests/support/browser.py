"""Chromium without a window, by its own protocol for tools."""

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--window-size=1200,900",
)
PATIENCE = 300


def find_browser() -> str | None:
    """The path of a Chromium, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def look(url: str, ready: str, picture: Path) -> list[str]:
    """Open a page until an expression in JavaScript is true; take a picture; return what went wrong in it."""
    return asyncio.run(_look(url, ready, picture))


async def _look(url: str, ready: str, picture: Path) -> list[str]:
    browser = find_browser()
    assert browser
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [browser, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                return await asyncio.wait_for(_visit(Path(folder), url, ready, picture), PATIENCE)
            finally:
                process.kill()


async def _visit(folder: Path, url: str, ready: str, picture: Path) -> list[str]:
    file = folder / "DevToolsActivePort"
    while not (file.exists() and len(file.read_text().split()) == 2):
        await asyncio.sleep(0.1)
    port = file.read_text().split()[0]
    found = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json")
    [page] = [each for each in json.loads(found.body) if each["type"] == "page"]
    connection = await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=2**26)
    try:
        return await _watch(connection, url, ready, picture)
    finally:
        connection.close()


async def _watch(connection: WebSocketClientConnection, url: str, ready: str, picture: Path) -> list[str]:
    errors: list[str] = []
    for method in ("Runtime.enable", "Log.enable", "Page.enable"):
        await _ask(connection, errors, method)
    await _ask(connection, errors, "Page.navigate", url=url)
    while True:
        answer = await _ask(connection, errors, "Runtime.evaluate", expression=f"Boolean({ready})")
        if answer["result"].get("value"):
            break
        await asyncio.sleep(0.5)
    shot = await _ask(connection, errors, "Page.captureScreenshot", format="png")
    picture.write_bytes(base64.b64decode(shot["data"]))
    return errors


async def _ask(
    connection: WebSocketClientConnection, errors: list[str], method: str, **parameters: Any
) -> Any:
    """Send a command; note the errors of the page that come before its answer."""
    number = abs(hash((method, len(errors), asyncio.get_running_loop().time()))) % 10**9
    await connection.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
    while True:
        message = json.loads(await connection.read_message() or "{}")
        if message.get("id") == number:
            return message.get("result", {})
        said = json.dumps(message.get("params"))
        if message.get("method") == "Runtime.exceptionThrown" or '"level": "error"' in said:
            errors.append(said)
        if message.get("method") == "Runtime.consoleAPICalled" and '"type": "error"' in said[:60]:
            errors.append(said)
