// The page of the demo. Everything that arrives is written as text, never as HTML.

const $ = (selector) => document.querySelector(selector);
const user = document.body.dataset.user;

/** Call the application. The header shows that the request comes from this page and not from another site. */
async function call(path, options = {}) {
  const response = await fetch(path, { method: "POST", ...options, headers: { "X-Requested-With": "flask-jobs", ...options.headers } });
  const answer = await response.json();
  if (answer.status !== "success") throw new Error(answer.message);
  return answer.data;
}

const send = (path, body) => call(path, { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

$("#loginForm").addEventListener("submit", async (event) => {
  event.preventDefault();
  await send("/login", { name: $("#name").value });
  location.reload();
});

if (user) {
  const flow = messageflow.connect({
    tokenUrl: "/token",
    on: {
      "job/started": ({ job, name }) => show(job, `${name}: being read`, 0),
      "job/progress": ({ job, percent, lines }) => show(job, `${lines.toLocaleString()} lines so far`, percent),
      "job/done": (done) => show(done.job, describe(done), 100),
      "job/failed": ({ job, name, reason }) => show(job, `${name} could not be read: ${reason}`, 0),
    },
    onMessage: arrived,
    onRecovery: ({ recovered }) => { if (!recovered) $("#missed").hidden = false; },
  });
  messageflow.status(flow, { connected: "#connected", authenticated: "#authenticated", dot: "#websocketStatus" });
  flow.subscribe("people:here").onCount(({ users }) => { $("#people").textContent = users; });

  $("#cut").addEventListener("click", () => flow.close());
  $("#again").addEventListener("click", () => flow.connect());
  flow.onState((state) => {
    $("#cut").disabled = state === "disconnected";
    $("#again").disabled = state !== "disconnected";
  });
}

// Files

$("#file").addEventListener("change", (event) => hand([...event.target.files]));

const drop = $(".drop");
for (const type of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
    if (type === "drop") hand([...event.dataTransfer.files]);
  });
}

function hand(files) {
  for (const file of files) {
    call(`/jobs?name=${encodeURIComponent(file.name)}`, { body: file }).catch((error) => arrived({ type: "error", payload: { text: error.message } }));
  }
  $("#file").value = "";
}

const jobs = new Map();

function show(job, what, percent) {
  if (!jobs.has(job)) {
    const item = document.createElement("li");
    const bar = document.createElement("progress");
    bar.max = 100;
    bar.setAttribute("aria-label", "Progress");
    const text = document.createElement("p");
    text.className = "what";
    item.append(bar, text);
    item.dataset.job = job;
    $("#jobs").prepend(item);
    jobs.set(job, { bar, text });
  }
  const { bar, text } = jobs.get(job);
  bar.value = percent;
  text.textContent = what;
}

function describe({ name, size, lines, words, most_frequent, sha256, approximate }) {
  const often = most_frequent.map(([word, count]) => `${word} ${count.toLocaleString()}`).join(", ");
  const about = approximate ? " (about)" : "";
  return `${name}: ${size.toLocaleString()} bytes, ${lines.toLocaleString()} lines, ${words.toLocaleString()} words. Most frequent${about}: ${often || "none"}. SHA-256 ${sha256}`;
}

// What arrives

$("#messageForm").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = $("#message");
  await send("/say", { text: field.value });
  field.value = "";
});

let updated = null;

function arrived({ type, payload }) {
  updated = new Date();
  const time = document.createElement("time");
  time.textContent = updated.toLocaleTimeString();
  const kind = span("type", type);
  const text = span("text", summary(type, payload));
  const item = document.createElement("li");
  item.append(time, kind, text);
  const list = $("#incoming");
  list.prepend(item);
  while (list.children.length > 200) list.lastChild.remove();
  tell();
}

function summary(type, payload) {
  if (type === "chat/said") return `${payload.user}: ${payload.text}`;
  if (type === "job/progress") return `${payload.percent} %`;
  return payload.name ?? payload.text ?? JSON.stringify(payload);
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

function tell() {
  if (!updated) return;
  const seconds = Math.round((Date.now() - updated) / 1000);
  $("#updated").textContent = updated.toLocaleTimeString();
  $("#updated").dateTime = updated.toISOString();
  $("#ago").textContent = seconds < 60 ? `(${seconds} s ago)` : `(${Math.floor(seconds / 60)} min ago)`;
}
setInterval(tell, 1000);
