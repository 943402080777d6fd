import { openHere } from './open.js';
import { inPlainWords } from './plain-words.js';
import { randomId } from './random-id.js';
import { me, signOut } from './server.js';
import { SignIn } from './sign-in.js';
import { here, isOver, isSignedOut, notice, offered, user } from './state.js';
import { forgetAll, forgetTab, keepInTab, recall, remember } from './storage.js';
import { words } from './words.js';

/** A server that refuses again within this time has to be told who one is. */
const renewMs = 10_000;

/** Tells other tabs of the sign-out. */
const tabs = new BroadcastChannel('waggle');
export const signIn = new SignIn();
let isRenewing = false;
let renewedAt = Number.NEGATIVE_INFINITY;
/** Called once newer credentials are there. */
let onRenewed = () => {};

/** Finds out who one is, signed in if the server asks for it. @param {() => void} renewed called after each later sign-in */
export async function begin(renewed) {
  onRenewed = renewed;
  user.value = await whoAsks();
  if (user.value) {
    keepInTab();
    if (recall('owner') !== user.value.id) forgetTab();
    remember('owner', user.value.id);
  }
  // In an open server a secret: it gives access to the conversations, so it is random and sent to this server only.
  here.openUser = recall('user') ?? randomId();
  remember('user', here.openUser);
  here.userId = user.value ? undefined : here.openUser;
  tabs.addEventListener('message', () => {
    if (user.value) startOver();
  });
}

async function whoAsks() {
  // Without that endpoint the request would show as an error in the browser's console.
  if (!('me' in offered.value)) return null;
  for (;;)
    try {
      return await me();
    } catch (error) {
      const { code, retryAfterMs = 5000, ...rest } = /** @type {any} */ (error);
      if (code === 'UNAUTHORIZED') await signIn.ask(words.asksWho);
      else {
        notice.value = { text: inPlainWords({ ...rest, code, retryAfterMs }) };
        await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
        notice.value = undefined;
      }
    }
}

/** The credentials have ended. What the page shows stays, covered, for the same user. */
export async function askAgain() {
  if (isSignedOut.value) return;
  isSignedOut.value = true;
  // Another tab may have signed in.
  const now = user.value && (await me().catch(() => null));
  if (now && performance.now() - renewedAt > renewMs) goOn(now.id);
  else await renew(words.signInEnded, false);
}

/** Asks for newer credentials. @param {string} why @param {boolean} mayWait */
export async function renew(why, mayWait) {
  const asked = signIn.ask(why, mayWait);
  if (isRenewing) return;
  isRenewing = true;
  const id = await asked;
  isRenewing = false;
  if (id !== undefined) goOn(id);
}

/** Goes on with newer credentials. @param {string} id of their user */
function goOn(id) {
  if (id !== user.value?.id) return startOver();
  renewedAt = performance.now();
  isSignedOut.value = false;
  here.line?.renew();
  onRenewed();
}

/** Signs out, here and in the other tabs. */
export async function leave() {
  try {
    await signOut();
  } catch {
    notice.value = { text: words.stillSignedIn };
    return;
  }
  tabs.postMessage('signed out');
  startOver();
}

/** Loads the page for another user. */
function startOver() {
  isSignedOut.value = true;
  forgetAll();
  openHere(undefined);
  location.reload();
}

/** Reads the user again, with what is left of the limits. */
export async function lookAtUser() {
  if (!user.value || isOver.value) return;
  const now = await me().catch(() => undefined);
  if (now && user.value) user.value = now;
}
