// uPlot writes numbers in the browser's language and fails where that is none: "en-US@posix" is what a POSIX locale makes of it.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US" });
}
