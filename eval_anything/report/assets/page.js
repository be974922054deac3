"use strict";
// What every page has: the switch between light and dark, and tables that can be sorted.
window.EA = {};
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const keep = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* a page from disk may have no storage */ } };
  if (kept()) root.dataset.theme = kept();
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    keep(root.dataset.theme);
  });

  const heads = (table) => table.tHead.rows[table.tHead.rows.length - 1].cells; // above them may stand headings over several
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const key = cell.dataset.key;
    if (key === undefined) return null;
    const number = Number(key);
    return key !== "" && !Number.isNaN(number) ? number : key.toLowerCase();
  };
  const before = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  const sort = (table, column, head) => {
    const down = head.getAttribute("aria-sort") === "descending";
    const rows = [...table.tBodies[0].rows];
    rows.sort((x, y) => {
      const [a, b] = [keyOf(x, column), keyOf(y, column)];
      if (a === null || b === null) return (a === null) - (b === null); // what has no value stays last
      return down ? before(a, b) : before(b, a);
    });
    for (const other of heads(table)) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...heads(table)].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => sort(table, column, head));
    });
  }
})();
