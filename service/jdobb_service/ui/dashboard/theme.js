// Before anything is drawn, so that a dark page does not flash white. See settings.js.
(() => {
  try {
    const theme = JSON.parse(localStorage.getItem("jdobb.settings") ?? "{}").theme;
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // What is stored there is not ours, or storage is closed to the page: the system's theme it is.
  }
})();
