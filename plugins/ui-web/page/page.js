import { Composer } from './composer.js';
import { Dialogs } from './dialogs.js';
import { closeSide, sideCovers } from './drawer.js';
import { Head } from './head.js';
import { html } from './html.js';
import { Log } from './messages.js';
import { Notices } from './notice.js';
import { Side } from './side.js';
import { SignInDialog } from './sign-in-dialog.js';
import { words } from './words.js';

/** The whole chat page. */
export function Page() {
  return html`<a class="skip" href="#message">${words.toMessage}</a>
    <${Side} />
    <div id="veil" hidden=${!sideCovers.value} onClick=${closeSide}></div>
    <main id="main" inert=${sideCovers.value}>
      <${Head} />
      <${Notices} />
      <${Log} />
      <${Composer} />
    </main>
    <div id="spoken" class="unseen" aria-live="polite" aria-relevant="additions"></div>
    <${SignInDialog} />
    <${Dialogs} />`;
}
