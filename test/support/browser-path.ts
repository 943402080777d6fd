import { existsSync } from 'node:fs';

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Where Chromium is on this machine; undefined where there is none. */
export const browserPath: string | undefined = [process.env.CHROMIUM ?? '', ...places].find(
  (path) => path !== '' && existsSync(path),
);
