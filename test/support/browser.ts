import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';
import { browserPath } from './browser-path.js';

const boundMs = 30_000;
// Without these it asks hosts that no test has to do with.
const quiet = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
  '--no-sandbox',
];

/** Starts Chromium. */
export function startBrowser(): Promise<Browser> {
  return chromium.launch({ ...(browserPath && { executablePath: browserPath }), args: quiet });
}

/** One who looks at pages of one server, with a browser profile of its own. */
export class Visitor {
  readonly pages: Page[] = [];
  /** What the browser's console said is wrong, errors that nobody caught, and requests to other hosts. */
  readonly problems: string[] = [];
  readonly #url: string;
  readonly #open: () => Promise<Page>;
  readonly close: () => Promise<void>;

  private constructor(url: string, open: () => Promise<Page>, close: () => Promise<void>) {
    this.#url = url;
    this.#open = open;
    this.close = close;
  }

  static async come(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(boundMs);
    return new Visitor(
      url,
      () => context.newPage(),
      () => context.close(),
    );
  }

  /** Opens a page in a new tab. */
  async visit(path = '/ui'): Promise<Page> {
    const page = await this.#open();
    const { host } = new URL(this.#url);
    const check = (url: string) => {
      if (new URL(url).host !== host) this.problems.push(`a request to ${url}`);
    };
    page.on('console', (message) => {
      if (/error|warning|assert/.test(message.type())) this.problems.push(message.text());
    });
    page.on('pageerror', (error) => this.problems.push(String(error.stack)));
    page.on('request', (request) => check(request.url()));
    page.on('websocket', (socket) => check(socket.url()));
    page.on('dialog', (dialog) => {
      this.problems.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    this.pages.push(page);
    await page.goto(this.#url + path);
    return page;
  }
}

/** Resolves when the text of an element is as wanted, now or later. */
export async function untilText(found: Locator, wanted: string | RegExp): Promise<void> {
  const fits = (text: string) => (typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text));
  const deadline = performance.now() + boundMs;
  for (;;) {
    const text = await found.first().textContent();
    if (fits(text ?? '')) return;
    if (performance.now() > deadline) throw new Error(`no ${wanted} within ${boundMs} ms: ${text}`);
    // The next frame is when something can have changed.
    await found.page().evaluate(() => new Promise((resolve) => setTimeout(resolve, 10)));
  }
}
