const find = document.getElementById("find"), all = [...document.querySelectorAll("[data-find]")];
const text = all.map(one => one.dataset.find.toLowerCase());
find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  all.forEach((one, i) => { one.hidden = !words.every(word => text[i].includes(word)); });
  document.querySelectorAll("article").forEach(one => { one.hidden = !one.querySelector("[data-find]:not([hidden])"); });
  const shown = all.filter(one => !one.hidden).length;
  document.getElementById("found").textContent = words.length ? `${shown} / ${all.length}` : "";
});
