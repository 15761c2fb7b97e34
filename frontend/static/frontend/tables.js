// Tables that can be put into another order: headings with `data-sort` become buttons. Without this the order is the
// server's.

const chosen = new Map();

function order(table, column, direction) {
  const body = table.tBodies[0];
  const value = (row) => row.cells[column]?.dataset.value ?? row.cells[column]?.textContent.trim() ?? "";
  const rows = [...body.rows].map((row) => [value(row), row]);
  const numeric = rows.every(([text]) => text === "" || Number.isFinite(Number(text)));
  rows.sort(([a], [b]) => {
    // What has no value comes last, whichever way it is sorted.
    if (a === "" || b === "") return (a === "") - (b === "");
    return direction * (numeric ? a - b : a.localeCompare(b, document.documentElement.lang));
  });
  body.append(...rows.map(([, row]) => row));
  for (const heading of table.tHead.rows[0].cells) heading.removeAttribute("aria-sort");
  const heading = table.tHead.rows[0].cells[column];
  heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
}

function setUp(table) {
  for (const heading of table.tHead.rows[0].cells) {
    if (!heading.hasAttribute("data-sort") || heading.querySelector("button")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      chosen.set(table.id, [heading.cellIndex, direction]);
      order(table, heading.cellIndex, direction);
    });
  }
  if (chosen.has(table.id)) order(table, ...chosen.get(table.id));
}

/** Gives the tables below `root` their buttons, and the order that was chosen before. */
export const makeSortable = (root) => root.querySelectorAll("table[data-sortable]").forEach(setUp);

makeSortable(document);
document.addEventListener("outagemap:fresh", () => makeSortable(document));
