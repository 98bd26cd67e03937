/** An icon of the site's sprite, hidden from assistive technology. */
export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", new URL(`../icons.svg#i-${name}`, import.meta.url).href);
  svg.append(use);
  return svg;
}
