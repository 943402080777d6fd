import { goJson } from './json.js';
import type { Mode, Run } from './run.js';

const html = 'text/html; charset=utf-8';
const proxyPage =
  '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><h1>502 Bad Gateway</h1></body>\r\n</html>\r\n';
const signInPage = '<!doctype html>\n<title>Sign in</title>\n<p>secret-of-the-proxy</p>\n';
const queueFull = 'server busy, please try again.  maximum pending requests exceeded';

function refuses(play: (run: Run) => Promise<void>): Mode {
  return { counts: 'none', play };
}

/** `Retry-After` is sent when the parameter `retry` gives the seconds. */
function retryAfter(run: Run): Record<string, string> {
  const seconds = run.params.text('retry', '');
  return seconds === '' ? {} : { 'Retry-After': seconds };
}

/** Modes that answer with something else than a stream. */
export const httpModes = {
  'http-404': refuses((run) => run.reply.error(404, `model '${run.request.model}' not found`)),
  'http-400': refuses((run) => run.reply.error(400, `"${run.request.model}" does not support chat`)),
  'http-429': refuses((run) => run.reply.error(429, 'too many requests', retryAfter(run))),
  'http-503': refuses((run) => run.reply.error(503, queueFull, retryAfter(run))),
  'http-502-html': refuses((run) => run.reply.whole(502, 'text/html', proxyPage)),
  'http-403-empty': refuses((run) => run.reply.whole(403, undefined, '')),
  'http-401-ndjson': refuses((run) => {
    const signin_url = 'https://example.invalid/connect?name=fake&key=secret';
    return run.reply.whole(401, 'application/x-ndjson', goJson({ error: 'unauthorized', signin_url }));
  }),
  'html-200': refuses((run) => run.reply.whole(200, html, signInPage)),
  redirect: refuses((run) =>
    run.reply.whole(302, html, '<a href="/">Found</a>.\n', { Location: run.params.text('to', '/') }),
  ),
  'not-http': refuses(async (run) => {
    await run.reply.rawBytes('SSH-2.0-fake\r\n\0\xff\xfe no http here\r\n');
    run.reply.connection.finish('fake');
  }),
} as const satisfies Record<string, Mode>;
