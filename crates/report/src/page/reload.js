// The page is loaded again when the program that serves it says that its file has changed.
(() => {
  const events = new EventSource("events");
  events.addEventListener("changed", () => location.reload());
  events.addEventListener("end", () => events.close());
})();
