const read = cell => { const text = cell.textContent.trim(), n = parseFloat(text.replace(/[,<%\s]/g, "").replace("\u2212", "-")); return isNaN(n) ? text : n; };
document.querySelectorAll("thead th").forEach(head => {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  const sort = () => {
    const body = head.closest("table").tBodies[0], up = head.ariaSort !== "ascending";
    head.parentNode.querySelectorAll("th").forEach(other => { other.ariaSort = null; });
    head.ariaSort = up ? "ascending" : "descending";
    const rows = [...body.rows].map(row => [read(row.cells[head.cellIndex]), row]);
    rows.sort(([a], [b]) => (typeof a === typeof b ? (a < b ? -1 : a > b) : typeof a === "number" ? -1 : 1) * (up ? 1 : -1));
    body.append(...rows.map(([, row]) => row));
  };
  button.addEventListener("click", sort);
});
const boxes = [...document.querySelectorAll(".table, .plot")];
const shade = () => boxes.forEach(box => {
  box.classList.toggle("right", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  if (box.matches(".plot.right")) box.tabIndex = 0;
  box.classList.toggle("below", box.scrollTop + box.clientHeight < box.scrollHeight - 1);
});
boxes.forEach(box => box.addEventListener("scroll", shade));
addEventListener("resize", shade);
document.addEventListener("toggle", shade, true);
shade();
