// What words of pictures stand on: the lowest contrast of each with what is painted below it, as WCAG counts it.
const lum = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b; };
const rgba = text => { const [r, g, b, a = 1] = (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number); return [[r, g, b], text === "none" ? 0 : a]; };
const over = (below, [colour, alpha]) => below.map((v, k) => v + alpha * (colour[k] - v));
const faint = one => one.closest("svg") === one ? 1 : getComputedStyle(one).opacity * faint(one.parentElement);
const found = [];
for (const text of document.querySelectorAll("svg text")) {
  if (!text.textContent.trim()) continue;
  text.closest("svg").scrollIntoView({block: "nearest"}); text.scrollIntoView({block: "center", inline: "center"});
  const box = text.getBoundingClientRect(), style = getComputedStyle(text);
  for (const part of [.1, .5, .9]) {
    const x = box.left + part * box.width, y = box.top + (box.height > box.width ? part : .5) * box.height;
    let below = [255, 255, 255];
    for (const one of document.elementsFromPoint(box.height > box.width ? box.left + box.width / 2 : x, y).reverse()) {
      const look = getComputedStyle(one);
      if (!one.isPointInFill) below = over(below, rgba(look.backgroundColor));
      else if (!one.closest("text")) {
        const at = one.getScreenCTM() && new DOMPoint(x, y).matrixTransform(one.getScreenCTM().inverse());
        if (!at || !one.isPointInFill(at)) continue;
        const [colour, alpha] = rgba(look.fill);
        below = over(below, [colour, alpha * look.fillOpacity * faint(one)]);
      }
    }
    const [ink, alpha] = rgba(style.fill), drawn = over(below, [ink, alpha * style.fillOpacity * faint(text)]);
    const [low, high] = [lum(drawn), lum(below)].sort((a, b) => a - b), ratio = (high + .05) / (low + .05);
    found.push([Math.round(100 * ratio) / 100, text.textContent.trim(), style.fill, below.map(Math.round).join()]);
  }
}
return found.sort((a, b) => a[0] - b[0]);
