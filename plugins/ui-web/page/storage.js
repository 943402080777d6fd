const prefix = 'waggle:';

let isTabOnly = false;
let isOver = false;

/** Values of the browser, whoever uses it. */
const ofBrowser = new Set(['theme', 'language']);

/** The storage of a name. @param {string} name */
function placeOf(name) {
  return isTabOnly && !ofBrowser.has(name) ? sessionStorage : localStorage;
}

/** From now on values are stored for this tab alone: nothing of a signed-in user stays in the browser. */
export function keepInTab() {
  isTabOnly = true;
}

/** A stored value, or undefined. @param {string} name @returns {any} */
export function recall(name) {
  try {
    const text = placeOf(name).getItem(prefix + name);
    if (text === null) return undefined;
    return name === 'theme' ? text : JSON.parse(text);
  } catch {
    return undefined; // No storage, or something else has written there.
  }
}

/** Stores a value. False when the storage is full. @param {string} name @param {unknown} value */
export function remember(name, value) {
  if (isOver) return true;
  try {
    placeOf(name).setItem(prefix + name, name === 'theme' ? String(value) : JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** @param {string} name */
export function forget(name) {
  try {
    placeOf(name).removeItem(prefix + name);
  } catch {
    // Without storage there is nothing to remove.
  }
}

/** Stored names with this beginning. @param {string} start @returns {string[]} */
export function namesOf(start) {
  try {
    return Object.keys(placeOf(start))
      .filter((key) => key.startsWith(prefix + start))
      .map((key) => key.slice(prefix.length));
  } catch {
    return [];
  }
}

/** Calls back with each name whose value another tab has changed. @param {(name: string) => void} listener */
export function onStored(listener) {
  addEventListener('storage', ({ key }) => {
    if (key?.startsWith(prefix)) listener(key.slice(prefix.length));
  });
}

/** Removes everything of this tab, but not what is the browser's. */
export function forgetTab() {
  for (const name of namesOf('')) if (!ofBrowser.has(name)) forget(name);
}

/** Removes everything of the user, of this tab and of the browser. Nothing more is stored. */
export function forgetAll() {
  forgetTab();
  isTabOnly = false;
  forgetTab();
  isOver = true;
}
