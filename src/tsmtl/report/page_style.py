"""How a page looks, on a screen, light or dark, and on paper; and how its tables are sorted."""

STYLE = """\
:root { color-scheme: light dark; --ink: #1a202c; --paper: #ffffff; --line: #cbd5e0; --soft: #f1f4f8; --good: #276749;
  --bad: #c53030; --blue: #2b6cb0; --orange: #c05621; --grey: #64748b; --green: #2f855a; --red: #c53030; }
@media (prefers-color-scheme: dark) { :root { --ink: #e2e8f0; --paper: #171b22; --line: #3b4654; --soft: #212833;
  --good: #68d391; --bad: #fc8181; --blue: #63b3ed; --orange: #f6ad55; --grey: #94a3b8; --green: #68d391;
  --red: #fc8181; } figure svg image { filter: brightness(1.5); } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
code { background: var(--soft); padding: .1rem .3rem; overflow-wrap: anywhere; }
.good, .bad, .open { border-left: .3rem solid var(--good); padding: .3rem .8rem; background: var(--soft); }
.bad { border-color: var(--bad); } .open { border-color: var(--grey); }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .7rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, .words { text-align: left; } thead th { background: var(--soft); }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; }
th button::after { content: " \\2195"; opacity: .4; }
th[aria-sort=ascending] button::after { content: " \\2191"; opacity: 1; }
th[aria-sort=descending] button::after { content: " \\2193"; opacity: 1; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
figure { margin: 0; flex: 0 1 auto; max-width: 100%; } figcaption { font-size: .85rem; max-width: 28rem; }
figure svg { display: block; max-width: 100%; height: auto; fill: currentColor; stroke-linejoin: round; }
dl { columns: 20rem; column-gap: 2rem; margin: 0; } dl div { display: flex; gap: .8rem; break-inside: avoid;
  border-bottom: 1px solid var(--line); } dt { flex: 1; } dd { margin: 0; text-align: right; }
img { max-width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line); }
@media print { :root { color-scheme: light; --ink: #000000; --paper: #ffffff; --line: #cbd5e0; --soft: #f1f4f8;
  --blue: #2b6cb0; --orange: #c05621; --grey: #64748b; --green: #2f855a; --red: #c53030; }
  body { margin: 0; max-width: none; font-size: 10pt; } .scroll { overflow: visible; } th button::after { content: ""; }
  figure, tr, dl div { break-inside: avoid; } h2, h3 { break-after: avoid; } table { font-size: 8pt; }
  th, td { white-space: normal; padding: .1rem .3rem; } figure svg image { filter: none; } }
"""

SORTING = """\
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const text = row.cells[column].textContent.trim();
    return text === "" ? [2, ""] : Number.isNaN(Number(text)) ? [1, text] : [0, Number(text)];
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => [key(row, column), row]);
      keyed.sort(([[a, x]], [[b, y]]) => {
        if (a !== b) return a === 2 || b === 2 ? a - b : sign * (a - b);
        return sign * (a === 1 ? x.localeCompare(y) : x < y ? -1 : x > y ? 1 : 0);
      });
      body.append(...keyed.map(([, row]) => row));
    });
  });
}
"""
