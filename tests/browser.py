"""A JupyterLab and a headless Chromium to look at it with, over Chrome's own protocol."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import websocket

WAIT = 600      # seconds, for anything that a loaded machine may take long for


def wait_for(what, condition, seconds=WAIT):
    """The first true value of ``condition()``, which is asked again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds} seconds")


@contextmanager
def running(command, log, **settings):
    """A process that is ended in any case; what it says goes to the file `log`."""
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **settings)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def jupyterlab(folder, home):
    """The address of a JupyterLab that serves `folder`, with settings of its own in `home`."""
    places = {name: str(home / name.lower()) for name in
              ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    settings = home / "jupyter_config_dir" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", "--port=0",
               "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
               "--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={folder}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    log = home / "jupyterlab.log"
    with running(command, log, env={**os.environ, **places}) as process:

        def address():
            if process.poll() is not None:
                raise RuntimeError(f"JupyterLab ended: {log.read_text()}")
            return re.search(r"http://127\.0\.0\.1:\d+/lab", log.read_text())

        yield wait_for("JupyterLab", address)[0]


class Page:
    """One page of a browser."""

    def __init__(self, address):
        self._socket = websocket.create_connection(address, timeout=WAIT, suppress_origin=True)
        self._number = 0

    def call(self, method, **parameters):
        """One command of the Chrome DevTools protocol."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def run(self, script):
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def close(self):
        """Stop talking; the browser goes on."""
        self._socket.close()

    def press(self, key, code):
        """A key on the keyboard, to whatever has the focus."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, path):
        """The page as it is seen, as PNG."""
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def chromium(address, home, width=1280, height=900):
    """A Page of a headless Chromium at `address`."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    profile = home / "chromium"
    command = [binary, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--remote-debugging-port=0", f"--user-data-dir={profile}", f"--window-size={width},{height}",
               "about:blank"]
    with running(command, home / "chromium.log") as process:
        port_file = profile / "DevToolsActivePort"

        def port():
            if process.poll() is not None:
                raise RuntimeError(f"Chromium ended: {(home / 'chromium.log').read_text()}")
            return port_file.exists() and port_file.read_text().split("\n")[0]

        request = urllib.request.Request(f"http://127.0.0.1:{wait_for('Chromium', port)}/json/new?{address}",
                                         method="PUT")
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            page = Page(json.load(answer)["webSocketDebuggerUrl"])
        try:
            page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=False)
            yield page
        finally:
            page.close()
