// Sparklines: numbers in, one SVG out. Nothing is fetched, nothing is parsed as markup.

const SVG = "http://www.w3.org/2000/svg";

function make(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

/** An SVG of `points` (oldest first), as wide as its container. `label` is what a screen reader says. */
export function sparkline(points, label, height = 34) {
  const svg = make("svg", { viewBox: `0 0 200 ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label, class: "spark" });
  if (points.length < 2) return svg;
  const top = Math.max(...points, 1);
  const x = (i) => (i * 200) / (points.length - 1);
  const y = (n) => height - 2 - (n / top) * (height - 5);
  const line = points.map((n, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(n).toFixed(1)}`).join("");
  svg.append(
    make("path", { d: `${line}L200 ${height}L0 ${height}Z`, class: "area" }),
    make("path", { d: line, class: "line", "vector-effect": "non-scaling-stroke" }),
  );
  return svg;
}
