// ARIA tabs: arrows, Home and End move; the open tab is in the address.

/** Wires a tab list; calls `opened(id)` with the panel's id whenever one opens. */
export function wireTabs(list, opened = () => {}) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];
  const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

  function open(tab, focus) {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      panelOf(other).hidden = other !== tab;
    }
    if (focus) tab.focus();
    opened(panelOf(tab).id);
  }

  function choose(tab, focus) {
    open(tab, focus);
    history.replaceState(null, "", `#${panelOf(tab).id}`);
  }

  list.addEventListener("click", (event) => {
    const tab = event.target.closest('[role="tab"]');
    if (tab) choose(tab, false);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const next = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(tabs[next], true);
  });
  const openNamed = () => open(tabs.find((tab) => `#${panelOf(tab).id}` === location.hash) ?? tabs[0], false);
  window.addEventListener("hashchange", openNamed);
  openNamed();
}
