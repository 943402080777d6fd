const prefix = 'waggle:';

/** A stored value, or undefined. @param {string} name @returns {any} */
export function recall(name) {
  try {
    const text = localStorage.getItem(prefix + name);
    if (text === null) return undefined;
    return name === 'theme' ? text : JSON.parse(text);
  } catch {
    return undefined; // No storage, or something else has written there.
  }
}

/** Stores a value. False when the storage is full. @param {string} name @param {unknown} value */
export function remember(name, value) {
  try {
    localStorage.setItem(prefix + name, name === 'theme' ? String(value) : JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** @param {string} name */
export function forget(name) {
  try {
    localStorage.removeItem(prefix + name);
  } catch {
    // Without storage there is nothing to remove.
  }
}

/** Stored names with this beginning. @param {string} start @returns {string[]} */
export function namesOf(start) {
  try {
    return Object.keys(localStorage)
      .filter((key) => key.startsWith(prefix + start))
      .map((key) => key.slice(prefix.length));
  } catch {
    return [];
  }
}
