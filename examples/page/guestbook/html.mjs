// Text into HTML, escaped unless it already is HTML.

class Html {
  constructor(text) {
    this.text = text;
  }

  toString() {
    return this.text;
  }
}

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** html`<b>${name}</b>`: whatever is put in is escaped, but for what `html` made; lists are put in one after the other. */
export function html(strings, ...values) {
  return new Html(String.raw({ raw: strings }, ...values.map(toHtml)));
}

function toHtml(value) {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(toHtml).join("");
  return value === undefined || value === null
    ? ""
    : String(value).replace(/[&<>"']/g, (character) => ESCAPES[character]);
}
