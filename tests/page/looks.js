// What is wrong with the page as it is shown now, as a list of texts. Run by the debugger, not by the page.
(() => {
  const wrong = [];
  const name = (e) => e.tagName.toLowerCase() + (e.className ? "." + e.className : "");
  const rgb = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = color.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = (e) => {
    for (; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const width = document.documentElement.scrollWidth;
  if (width > innerWidth) wrong.push(`the page is ${width} wide in a window of ${innerWidth}`);
  const seen = new Set();
  for (const e of document.body.querySelectorAll("*")) {
    if (!e.checkVisibility() || (e.matches("input") && getComputedStyle(e).opacity === "0")) continue;
    const box = e.getBoundingClientRect();
    // Blanks at the end of a line may hang over its edge.
    const inline = getComputedStyle(e).display === "inline";
    if (!inline && (box.right > innerWidth + 1 || box.left < -1)) wrong.push(`${name(e)} ends at ${box.right}`);
    if (!inline && e.scrollWidth > e.clientWidth + 1) wrong.push(`${name(e)} is cut`);
    const text = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!text) continue;
    const style = getComputedStyle(e);
    const key = style.color + back(e);
    if (seen.has(key)) continue;
    seen.add(key);
    const [light, dark] = [luminance(rgb(style.color)), luminance(back(e))].sort((a, b) => b - a);
    const contrast = (light + 0.05) / (dark + 0.05);
    if (contrast < 4.5) wrong.push(`${name(e)} has a contrast of ${contrast.toFixed(1)}`);
    if (parseFloat(style.fontSize) < 12) wrong.push(`${name(e)} is ${style.fontSize} small`);
  }
  return [...new Set(wrong)].slice(0, 5);
})()
