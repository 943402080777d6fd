/** A page for people that lists what the server offers. */
export function docsPage(endpoints: Readonly<Record<string, string>>, version: string): string {
  const rows = Object.entries(endpoints).map(
    ([name, path]) =>
      `<tr><th scope="row">${escapeHtml(name)}</th><td><code>${escapeHtml(path)}</code></td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Waggle ${escapeHtml(version)}</title>
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:2rem auto;padding:0 1rem}th{text-align:left;padding-right:2rem}</style>
</head><body><h1>Waggle ${escapeHtml(version)}</h1><table>${rows.join('')}</table></body></html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
