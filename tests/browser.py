"""A headless Chromium, driven over the WebDriver protocol by the standard library alone."""

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DRIVERS = ("chromedriver", "/usr/lib/chromium/chromedriver", "/usr/lib/chromium-browser/chromedriver")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ENTER = "\ue007"


def found(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """One session of a browser.

    Args:
        folder: Where the browser keeps its profile.

    Raises:
        FileNotFoundError: If there is none on this machine.
    """

    def __init__(self, folder: Path) -> None:
        driver, browser = found(DRIVERS), found(BROWSERS)
        if driver is None or browser is None:
            raise FileNotFoundError("no chromium and chromedriver here (apt-get install chromium chromium-driver)")
        command = [driver, "--port=0", "--log-level=SEVERE"]
        self._driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._driver.stdout is not None
        port = next(words.rstrip(".\n").split()[-1] for words in self._driver.stdout if "successfully on port" in words)
        self._base = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless=new", f"--user-data-dir={folder}", "--disable-gpu", "--hide-scrollbars"]
        arguments += ["--disable-dev-shm-usage", "--disable-background-networking"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            arguments.append("--no-sandbox")  # which Chromium refuses to have as root
        options = {"binary": browser, "args": arguments}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            self._base += "/" + self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        except BaseException:
            self._driver.kill()
            self._driver.wait()
            self._driver.stdout.close()
            raise

    def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._base + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def _tell(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def show(self, page: Path, width: int, dark: bool = False, scripts: bool = True, paper: bool = False) -> None:
        """Open a page in a window of a width, or as it is printed."""
        self._tell("Emulation.setScriptExecutionDisabled", value=not scripts)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._tell("Emulation.setEmulatedMedia", media="print" if paper else "", features=features)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._tell("Emulation.setDeviceMetricsOverride", **size)
        self._ask("POST", "/url", {"url": page.resolve().as_uri()})

    def ask(self, expression: str) -> Any:
        """Give the value of an expression of JavaScript, as JSON knows it."""
        return self._ask("POST", "/execute/sync", {"script": f"return {expression}", "args": []})

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def complaints(self) -> list[str]:
        """Give what the console has been told since it was last asked."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def photograph(self, path: Path) -> None:
        """Store the whole page as a PNG."""
        picture = self._tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def close(self) -> None:
        """End it."""
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(timeout=20)
            if self._driver.stdout is not None:
                self._driver.stdout.close()
            time.sleep(0.1)  # for its children to let go of the profile
