// The only script of a page: a button copies the text of the box that it stands in. It reads that text, and changes
// nothing but the words on the button.
document.documentElement.classList.add("scripted");
document.addEventListener("click", (event) => {
  const button = event.target instanceof Element && event.target.closest(".copied > button");
  if (!button) return;
  const text = button.parentElement.querySelector("code");
  const say = (words) => {
    button.textContent = words;
    setTimeout(() => (button.textContent = "Copy"), 2000);
  };
  // Files and old browsers have no clipboard to write to, and some do not allow it: then as a reader would do it.
  const byHand = () => {
    const selection = getSelection();
    selection.selectAllChildren(text);
    const copied = document.execCommand("copy");
    if (copied) selection.removeAllRanges();
    say(copied ? "Copied" : "Selected: copy it now");
  };
  if (!navigator.clipboard) return byHand();
  navigator.clipboard.writeText(text.textContent).then(() => say("Copied"), byHand);
});
