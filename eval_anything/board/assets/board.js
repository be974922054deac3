"use strict";
// The leaderboard's filters: rows by name and state, columns by the heading they stand under.
(() => {
  const form = document.getElementById("controls");
  const boards = [...document.querySelectorAll("table.board")];
  const filter = () => {
    const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const finished = document.getElementById("finished").checked;
    let [shown, all] = [0, 0];
    for (const board of boards) {
      for (const row of board.tBodies[0].rows) {
        const fits = words.every((word) => row.dataset.name.includes(word)) && !(finished && row.dataset.unfinished);
        row.hidden = !fits;
        shown += fits;
        all += 1;
      }
    }
    document.getElementById("shown").textContent = `${shown} of ${all} rows`;
  };
  const columns = (event) => {
    const heading = event.target.dataset.heading;
    if (heading === undefined) return;
    for (const board of boards) {
      for (const cell of board.querySelectorAll(`[data-heading="${heading}"]`)) cell.hidden = !event.target.checked;
    }
  };
  form.addEventListener("input", filter);
  form.addEventListener("change", columns);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
})();
