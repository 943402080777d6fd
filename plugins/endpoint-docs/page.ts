import { pageHeaders } from '#sdk';

/** Headers of the page, which may load from this server only. */
export const headers = pageHeaders([
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
]);

/** The page as HTML. `assets` is the path of its files below `basePath`, the path under which the server is reached. */
export function page(basePath: string, assets: string, version: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Waggle ${version}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${basePath}${assets}/swagger-ui.css">
<link rel="stylesheet" href="${basePath}${assets}/page.css">
<script src="${basePath}${assets}/swagger-ui-bundle.js" defer></script>
<script src="${basePath}${assets}/page.js" type="module"></script>
</head>
<body>
<header>
<h1>Waggle <small>${version}</small></h1>
<nav aria-label="On this page">
<a href="#http">HTTP</a>
<a href="#console">Console</a>
<a href="#frames">Frames</a>
<a href="${basePath}/openapi.json">openapi.json</a>
<a href="${basePath}/asyncapi.json">asyncapi.json</a>
</nav>
</header>
<main>
<noscript>This page requires JavaScript; the two JSON documents do not.</noscript>
<section id="http" aria-labelledby="http-title">
<h2 id="http-title">HTTP</h2>
<div id="swagger"></div>
</section>
<section id="console" aria-labelledby="console-title">
<h2 id="console-title">WebSocket console</h2>
<form id="connection">
<label for="endpoint">Endpoint</label>
<select id="endpoint"></select>
<label for="address">Address</label>
<input id="address" autocomplete="off" spellcheck="false" required>
<button id="connect">Connect</button>
<output id="state" for="address">not connected</output>
</form>
<form id="sending">
<label for="type">Start from</label>
<select id="type"></select>
<label for="frame">Frame</label>
<textarea id="frame" rows="6" spellcheck="false"></textarea>
<button id="send" disabled>Send</button>
<button id="clear" type="button">Clear the log</button>
</form>
<ol id="log" role="log" aria-label="Frames sent and received" tabindex="0"></ol>
</section>
<section id="frames" aria-labelledby="frames-title">
<h2 id="frames-title">Frames</h2>
</section>
</main>
</body>
</html>
`;
}
