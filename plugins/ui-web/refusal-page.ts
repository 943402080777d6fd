import type { ErrorFormat, Headers } from '#kernel';
import { pageHeaders } from './page-headers.js';

const headers: Headers = { ...pageHeaders, 'cache-control': 'no-store' };

/** Tells a browser that navigates to the inspector without the right credentials where to sign in. */
export const refusalPage: ErrorFormat = {
  path: '/ui',
  format: ({ code }, request) => {
    const isNavigation = request.method === 'GET' && request.header('accept')?.includes('text/html');
    if (!isNavigation) return undefined;
    if (code === 'UNAUTHORIZED')
      return { status: 401, headers, body: html('Sign in first', request.basePath, 'Sign in') };
    if (code === 'FORBIDDEN')
      return {
        status: 403,
        headers,
        body: html('This page is for operators', request.basePath, 'To the chat'),
      };
    return undefined;
  },
};

function html(title: string, basePath: string, link: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} – Waggle</title>
</head>
<body>
<main>
<h1>${title}</h1>
<p>The inspector needs credentials with the scope “admin”.</p>
<p><a href="${basePath}/ui">${link}</a></p>
</main>
</body>
</html>
`;
}
