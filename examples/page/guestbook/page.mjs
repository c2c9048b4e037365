import { assetPath } from "./assets.mjs";
import { html } from "./html.mjs";

/** `base` is the address of the page with a slash at its end; `draft` what was typed, with the problem it has. */
export function renderPage({ base, entries, draft }) {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Guestbook</title>
<link rel="stylesheet" href="${base}${assetPath("style.css")}">
</head>
<body>
<h1><img src="${base}${assetPath("bird.svg")}" alt=""> Guestbook</h1>
${form(base, draft)}
${entries.map(entry)}
</body>
</html>
`.toString();
}

function form(base, { name = "", message = "", problem } = {}) {
  return html`<form method="post" action="${base.slice(0, -1)}">
${problem && html`<p class="problem" role="alert">${problem}</p>`}
<label>Your name <input name="name" value="${name}" required maxlength="80"></label>
<label>Your words <textarea name="message" required maxlength="2000">${message}</textarea></label>
<button>Sign</button>
</form>`;
}

function entry({ name, message, at }) {
  return html`<article><p>${message}</p><footer>${name}, <time datetime="${at}">${at.slice(0, 10)}</time></footer></article>
`;
}
