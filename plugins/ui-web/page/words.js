import { recall, remember } from './storage.js';
import de from './words-de.js';
import en from './words-en.js';

/** Languages by code. @type {Readonly<Record<string, typeof en>>} */
export const languages = { en, de };

/** The code of the language: the chosen one, else the first of the browser's that the page has. */
export const language = [recall('language'), ...(globalThis.navigator?.languages ?? [])]
  .map((code) => String(code).split('-')[0] ?? '')
  .find((code) => Object.hasOwn(languages, code));

/** The words of the page. They never change: another language loads the page again. */
export const words = languages[language ?? 'en'] ?? en;

/** Chooses a language. @param {string} code */
export function chooseLanguage(code) {
  remember('language', code);
  location.reload();
}

/** A number as people write it. @param {number} value */
export function count(value) {
  return value.toLocaleString(words.locale);
}
