const find = document.getElementById("find"), rows = [...document.getElementById("reports").rows];
const text = rows.map(row => row.textContent.toLowerCase());
find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  rows.forEach((row, i) => { row.hidden = !words.every(word => text[i].includes(word)); shown += !row.hidden; });
  document.getElementById("found").textContent = words.length ? `${shown} of ${rows.length}` : "";
});
