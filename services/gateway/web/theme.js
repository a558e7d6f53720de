// Light, dark or as the system has it. No module, so that it runs before the page is painted.
(() => {
  const KEY = "seqserve-theme";
  const ORDER = ["", "light", "dark"];
  const NAMES = { "": "as the system", light: "light", dark: "dark" };
  let theme = "";
  try {
    theme = localStorage.getItem(KEY) ?? "";
  } catch {
    // storage is forbidden: the choice lasts as long as the page
  }
  if (!ORDER.includes(theme)) theme = "";

  function show() {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    document.getElementById("theme")?.setAttribute("aria-label", `Theme: ${NAMES[theme]}`);
  }

  show();
  document.addEventListener("DOMContentLoaded", () => {
    show();
    document.getElementById("theme").addEventListener("click", () => {
      theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
      try {
        if (theme) localStorage.setItem(KEY, theme);
        else localStorage.removeItem(KEY);
      } catch {
        // as above
      }
      show();
    });
  });
})();
