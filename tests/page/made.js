// What the page is made of besides our elements, as a list of texts. Run by the debugger, not by the page.
(() => {
  const wrong = [];
  // Whether it is a page with buttons that copy, and the one script for them.
  const copies = false /* copies */;
  const body = "B BDI CODE DD DEL DETAILS DIV DL DT EM FOOTER H1 H2 H3 H4 HEADER I INPUT INS LABEL LI MAIN OL P SECTION SMALL SPAN STRONG SUMMARY TABLE TD UL".split(" ").concat(copies ? ["BUTTON", "PRE"] : []);
  const attributes = "aria-hidden aria-label aria-labelledby checked class for id name open role tabindex translate type".split(" ");
  for (const e of document.body.querySelectorAll("*")) {
    if (!body.includes(e.tagName)) wrong.push(`element ${e.tagName}`);
    if (e.shadowRoot) wrong.push("a shadow root");
    for (const a of e.attributes) if (!attributes.includes(a.name)) wrong.push(`attribute ${a.name} of ${e.tagName}`);
    if (e.tagName === "INPUT" && e.type !== "radio") wrong.push(`an input of type ${e.type}`);
  }
  for (const e of document.querySelectorAll("button"))
    if (e.type !== "button" || e.attributes.length !== 1 || !e.parentElement.matches(".copied")) wrong.push("a button of another kind");
  if (document.body.attributes.length) wrong.push("attributes of body");
  const head = [...document.head.children].map((e) => e.tagName).join(" ");
  if (!(copies ? /^(META )*TITLE STYLE SCRIPT$/ : /^(META )*TITLE STYLE$/).test(head)) wrong.push(`a head of ${head}`);
  if (copies && document.querySelector("script").attributes.length) wrong.push("attributes of the script");
  if (document.documentElement.className !== (copies ? "scripted" : "")) wrong.push("the script did not run, or another did");
  if (document.head.querySelector("meta[http-equiv]:not([http-equiv=Content-Security-Policy])")) wrong.push("a pragma");
  if (document.querySelector("body ~ *") || document.body.lastElementChild.tagName !== "FOOTER") wrong.push("something behind the end");
  if (document.compatMode !== "CSS1Compat") wrong.push("quirks mode");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id twice");
  for (const e of document.querySelectorAll("[for], [aria-labelledby]"))
    if (!document.getElementById(e.getAttribute("for") ?? e.getAttribute("aria-labelledby"))) wrong.push("a reference to nothing");
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((e) => +e.tagName[1]);
  if (levels[0] !== 1 || levels.filter((l) => l === 1).length !== 1) wrong.push("not one h1");
  return [...new Set(wrong)].slice(0, 5);
})()
