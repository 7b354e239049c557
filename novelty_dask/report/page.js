"use strict";
const plain = (text) => text.replaceAll("[.]", ".").replaceAll("[://]", "://").toLowerCase();
const value = (row, column, kind) => {
  const text = row.cells[column].textContent;
  if (kind === "text") return plain(text);
  const number = parseFloat(text.replaceAll(",", ""));
  return Number.isNaN(number) ? -Infinity : number;
};
const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

function makeSortable(table) {
  const headers = [...table.tHead.rows[0].cells];
  for (const header of headers.filter((each) => each.dataset.sort)) {
    const button = make("button", { type: "button", textContent: header.textContent });
    header.replaceChildren(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const kind = header.dataset.sort;
      const first = kind === "text" || header.textContent === "Rank" ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = header.getAttribute("aria-sort") === first ? other : first;
      for (const each of headers) if (each.dataset.sort) each.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...table.tBodies[0].rows].map((row) => [value(row, header.cellIndex, kind), row]);
      rows.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  }
}

function makeFilterable(table) {
  const headers = [...table.tHead.rows[0].cells];
  // Of the row itself: its neighbors, which can't be sorted, would bring in rows that are no match.
  const own = (row) => [...row.cells].filter((cell, n) => headers[n].dataset.sort);
  const rows = [...table.tBodies[0].rows].map((row) => [plain(own(row).map((cell) => cell.textContent).join(" ")), row]);
  const input = make("input", { type: "search", spellcheck: false, autocomplete: "off" });
  const label = make("label", { textContent: "Filter " });
  const count = make("output", { className: "count" });
  const bar = make("div", { className: "filter" });
  label.append(input);
  bar.append(label, count);
  (table.closest(".scroll") || table).before(bar);
  input.setAttribute("aria-label", "Filter: " + table.dataset.filter);
  const apply = () => {
    const wanted = plain(input.value.trim());
    let shown = 0;
    for (const [text, row] of rows) {
      row.hidden = !text.includes(wanted);
      shown += !row.hidden;
    }
    count.textContent = wanted ? `${shown} of ${rows.length} shown` : "";
  };
  input.addEventListener("input", apply);
  return (text) => {
    input.value = text;
    apply();
    input.focus();
  };
}

const filters = {};
for (const table of document.querySelectorAll("table[data-filter]")) {
  makeSortable(table);
  filters[table.closest("section").id] = makeFilterable(table);
}
// A site selects its rows among the most novel ones.
for (const summary of document.querySelectorAll("#sites summary")) {
  if (!filters.rows) break;
  const button = make("button", { type: "button", className: "select", textContent: "Select in the most novel rows" });
  summary.parentElement.append(button);
  button.addEventListener("click", () => filters.rows(plain(summary.textContent)));
}
