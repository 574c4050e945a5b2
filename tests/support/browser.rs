//! A real browser without a window: Chromium, told what to do over a pipe by the Chrome DevTools Protocol. No port, no
//! driver, no profile but one of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::Sandbox;
use super::peer::{command, peer};

/// How long one answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A browser with one page. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    /// What the page made happen and nobody has taken yet.
    events: Vec<Value>,
    _home: Sandbox,
}

impl Browser {
    /// Starts one that tells of every request, every line on the console, and every exception.
    pub fn open() -> Browser {
        let home = Sandbox::new();
        let program = peer("chromium-headless-shell");
        // It reads from file 3 and writes to file 4; the shell puts our pipes there.
        let mut shell = command("dash");
        shell.args(["-c", "exec \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null", "browser"]).arg(program);
        // Its own sandbox is not to be had as root, or in a container; the pages are ours.
        shell.args(["--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
        shell.args(["--disable-background-networking", "--disable-extensions", "--no-first-run"]);
        shell.arg(format!("--user-data-dir={}", home.join("profile").display()));
        shell.env("HOME", home.path()).current_dir(home.path());
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn().unwrap();
        let (to, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, from) = channel();
        thread::spawn(move || {
            for message in BufReader::new(out).split(0) {
                let Ok(message) = message else { return };
                let _ = sender.send(serde_json::from_slice(&message).unwrap());
            }
        });
        let events = Vec::new();
        let mut browser = Browser { child, to, from, calls: 0, session: None, events, _home: home };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Has it do `method`, and gives what that gave.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut message = serde_json::to_vec(&message).unwrap();
        message.push(0);
        self.to.write_all(&message).unwrap();
        loop {
            let mut message = self.next(method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    #[track_caller]
    fn next(&mut self, for_what: &str) -> Value {
        let message = self.from.recv_timeout(PATIENCE);
        message.unwrap_or_else(|e| panic!("the browser is silent ({e}) on {for_what}"))
    }

    /// Loads a file and waits until all of it is there.
    pub fn load(&mut self, file: &Path) {
        self.events.clear();
        let url = format!("file://{}", file.display());
        let told = self.call("Page.navigate", json!({ "url": url }));
        assert!(told["errorText"].is_null(), "{told}");
        let is_loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_loaded) {
            let event = self.next("load");
            self.events.push(event);
        }
    }

    /// What a script in the page gives; a promise is waited for.
    #[track_caller]
    pub fn evaluate(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "returnByValue": true, "awaitPromise": true });
        let mut told = self.call("Runtime.evaluate", params);
        assert!(told["exceptionDetails"].is_null(), "{script}: {}", told["exceptionDetails"]);
        told["result"]["value"].take()
    }

    /// Events of these names since the page was loaded, each with its parameters.
    pub fn seen(&self, names: &[&str]) -> Vec<&Value> {
        let is_one = |event: &&Value| event["method"].as_str().is_some_and(|name| names.contains(&name));
        self.events.iter().filter(is_one).map(|event| &event["params"]).collect()
    }

    /// Asks for light or dark colours.
    pub fn prefer(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": "screen", "features": features }));
    }

    /// The upper left of the page, in CSS pixels, as PNG.
    pub fn picture(&mut self, width: u32, height: u32) -> Vec<u8> {
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let params = json!({ "format": "png", "clip": clip, "captureBeyondViewport": true });
        let told = self.call("Page.captureScreenshot", params);
        BASE64.decode(told["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    /// As wide as this many CSS pixels.
    pub fn width(&mut self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends its own children when it is asked to.
        let _ = self.to.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
