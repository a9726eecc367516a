function note(list, text) {
  const line = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString();
  line.append(time, text); // text, whatever it looks like
  document.getElementById(list).prepend(line);
}

const flow = messageflow.connect({
  tokenUrl: "/socket_auth_token",
  on: { "TASK DONE": (text) => note("incoming", text) },
  onRecovery: ({ recovered }) => recovered || note("incoming", "Some messages were missed."),
});
const colors = { authenticated: "#22a06b" };
messageflow.status(flow, { connected: "#connected", authenticated: "#authenticated", dot: "#websocketStatus", colors });

document.getElementById("messageForm").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  try {
    const response = await fetch("/send", { method: "POST", body: new FormData(form) });
    const { status, data } = await response.json();
    note("result", `${status}: ${data}`);
    form.reset();
  } catch {
    note("result", "The application is away. Try again.");
  }
});
