// The page of the demo. Everything that arrives is written as text, never as HTML.

const $ = (selector, within = document) => within.querySelector(selector);
const number = (value) => value.toLocaleString();
const { user } = document.body.dataset;

// Calls to the application, over HTTP. The header shows that a request comes from this page and not from another site.

async function call(method, path, options = {}) {
  const headers = { "X-Requested-With": "flask-jobs", ...options.headers };
  const response = await fetch(path, { method, ...options, headers }).catch(() => {
    throw new Error(`Nothing answers at ${location.origin}.`);
  });
  const answer = await response.json();
  if (answer.status !== "success") throw new Error(answer.message);
  return answer.data;
}

const post = (path, body = {}) =>
  call("POST", path, { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** Do something that may fail, and tell the person if it does. */
async function attempt(action) {
  try {
    await action();
    $("#error").hidden = true;
  } catch (error) {
    $("#error").textContent = error.message;
    $("#error").hidden = false;
  }
}

if (user) openDesk();
else {
  $("#loginForm").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await post("/login", { name: $("#name").value });
      location.reload();
    });
  });
}

// Pushes from the application, over the WebSocket.

function openDesk() {
  const flow = messageflow.connect({
    tokenUrl: "/token",
    on: { "job/started": showJob, "job/progress": showJob, "job/done": showJob, "job/failed": showJob },
    onMessage: list,
    onRecovery({ recovered }) {
      if (!recovered) $("#missed").hidden = false;
    },
  });
  messageflow.status(flow, { connected: "#connected", authenticated: "#authenticated", dot: "#websocketStatus" });
  flow.subscribe("people:here").onCount(({ users }) => ($("#people").textContent = number(users)));
  let [wasHere, losses] = [false, 0];
  flow.onState((state, { code, reason }) => {
    if (state === "connected") {
      if (wasHere) attempt(fetchJobs); // jobs that ended with the application push no more
      wasHere = true;
    } else $("#people").textContent = "–";
    losses = state === "connecting" && code ? losses + 1 : 0;
    if (state === "disconnected") explain(`Not connected: ${reason}.`);
    else if (losses > 1) explain(`${isCut() ? "The network is cut, so nothing" : "Nothing"} answers at ${location.origin}. The page goes on looking by itself.`);
    else explain(losses && wasHere ? "The connection was lost." : "");
  });

  if ($("#cut")) offerCut();
  $("#logout").addEventListener("click", () => attempt(() => post("/logout").then(() => location.reload())));
  $("#messageForm").addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(async () => {
      await post("/say", { text: $("#message").value });
      $("#message").value = "";
    });
  });
  takeFiles();
  attempt(fetchJobs);
  setInterval(showAge, 1000);
}

/** Say why there is no connection, once however often it is tried; or nothing. */
function explain(text) {
  const why = $("#why");
  if (why.textContent !== text) why.textContent = text;
  why.hidden = !text;
}

// The network between the gateway and this browser, for show: what is cut is the server's end, and nobody tells the client.

let cutUntil = 0;
const isCut = () => Date.now() < cutUntil;

function offerCut() {
  const show = () => {
    const left = Math.ceil((cutUntil - Date.now()) / 1000);
    $("#cut").disabled = isCut();
    $("#again").disabled = !isCut();
    $("#again").textContent = isCut() ? `Mend it now (${left} s)` : "Mend it now";
  };
  const change = (cut) => async () => {
    const { seconds } = await post("/network", { cut });
    cutUntil = Date.now() + seconds * 1000;
    show();
  };
  $("#cut").addEventListener("click", () => attempt(change(true)));
  $("#again").addEventListener("click", () => attempt(change(false)));
  setInterval(show, 1000);
}

// Files and jobs.

function takeFiles() {
  const drop = $(".drop");
  for (const type of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", type === "dragover");
      if (type === "drop") attempt(() => hand([...event.dataTransfer.files]));
    });
  }
  $("#file").addEventListener("change", ({ target }) => {
    attempt(() => hand([...target.files]));
    target.value = ""; // so that the same file can be chosen again
  });
}

async function hand(files) {
  const handing = $("#handing");
  try {
    for (const file of files) {
      handing.textContent = `Handing over ${file.name} …`;
      handing.hidden = false;
      await call("POST", `/jobs?name=${encodeURIComponent(file.name)}`, { body: file });
    }
  } finally {
    handing.hidden = true;
  }
}

/** Ask how the jobs stand: when the page opens, and when it is back. */
async function fetchJobs() {
  const { jobs } = await call("GET", "/jobs");
  jobs.forEach(showJob);
  const known = new Set(jobs.map(({ job }) => job));
  for (const [job, row] of rows) {
    if (row.dataset.state === "running" && !known.has(job)) {
      row.dataset.state = "failed";
      $(".what", row).textContent = "lost: the application was restarted";
    }
  }
}

const rows = new Map();

function showJob(report) {
  const row = rows.get(report.job) ?? addRow(report);
  if (row.dataset.state !== "running") return; // what was fetched may be older than what was pushed
  row.dataset.state = report.state;
  $(".what", row).textContent = { running: `${report.percent} %`, done: "done", failed: `failed: ${report.reason}` }[report.state];
  if (report.state === "failed") return;
  $("progress", row).value = report.percent;
  for (const fact of ["size", "lines", "words"]) $(`.${fact}`, row).textContent = number(report[fact]);
  if (report.state === "done") showResult(row, report);
}

function addRow({ job, name }) {
  const row = $("#jobTemplate").content.cloneNode(true).firstElementChild;
  row.dataset.job = job;
  row.dataset.state = "running";
  $(".name", row).textContent = name;
  rows.set(job, row);
  $("#jobs").prepend(row);
  return row;
}

function showResult(row, { name, most_frequent, approximate, sha256 }) {
  for (const [word, count] of most_frequent) {
    $(".often", row).append(element("li", "", word, " ", element("b", "", number(count))));
  }
  $(".sha256", row).textContent = sha256;
  $(".about", row).hidden = !approximate;
  $(".result", row).hidden = false;
  $("#announce").textContent = `${name} has been read.`;
}

// The list of what arrives, and how long ago it did.

const MOST_LISTED = 200;
let updated;

function list({ type, payload }, { recovered }) {
  updated = new Date();
  const line = element("li", "", element("time", "", updated.toLocaleTimeString()), element("span", "type", type));
  line.append(element("span", "text", describe(type, payload)));
  if (recovered) line.append(element("span", "late", "while away"));
  const incoming = $("#incoming");
  if (type === "job/progress") {
    line.dataset.job = payload.job;
    if (incoming.firstElementChild?.dataset.job === payload.job) incoming.firstElementChild.remove(); // one line a job
  }
  incoming.prepend(line);
  if (incoming.children.length > MOST_LISTED) incoming.lastElementChild.remove();
  $("#nothing").hidden = true;
  showAge();
}

function describe(type, payload) {
  if (type === "chat/said") return `${payload.user}: ${payload.text}`;
  if (type === "job/progress") return `${payload.name}: ${payload.percent} %`;
  if (type === "job/failed") return `${payload.name}: ${payload.reason}`;
  return payload?.name ?? payload?.text ?? JSON.stringify(payload) ?? "";
}

function showAge() {
  if (!updated) return;
  const seconds = Math.floor((Date.now() - updated) / 1000);
  $("#updated").textContent = updated.toLocaleTimeString();
  $("#updated").dateTime = updated.toISOString();
  $("#ago").textContent = `, ${seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`} ago`;
}

function element(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content); // strings become text
  return made;
}
