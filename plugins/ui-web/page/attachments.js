import { signal } from '@preact/signals';
import { choice } from './choice.js';
import { agents, notice } from './state.js';
import { words } from './words.js';

/**
 * A file beside the message: a picture as a data URL, or a text.
 * @typedef {{ name: string, size: number, image: string } | { name: string, size: number, text: string }} Attachment
 */

/** @type {import('@preact/signals').Signal<readonly Attachment[]>} */
export const attached = signal([]);
const maxFiles = 8;
const maxTextChars = 200_000;
/** What models use of a picture, at the most. */
const maxSidePx = 1568;
const quality = 0.85;
const pictures = /^image\/(png|jpeg|webp|gif|bmp|avif)$/;
const texts = /^(text\/|application\/(json|xml|yaml|x-yaml|toml|javascript|x-sh|sql|x-ndjson)$)/;
const textNames =
  /\.(txt|md|csv|tsv|json|jsonl|log|xml|ya?ml|toml|ini|conf|sql|sh|py|rb|rs|go|java|kt|c|h|cpp|hpp|cs|ts|tsx|js|jsx|mjs|css|html?|php|swift|lua|r|tex|diff|patch)$/i;

/** Attaches files; of those that cannot be it says why. @param {readonly File[]} files */
export async function attach(files) {
  for (const file of files) {
    if (attached.value.length >= maxFiles) {
      notice.value = { text: words.tooManyFiles };
      return;
    }
    const made = await attachmentOf(file).catch(() => words.cannotAttach(file.name));
    if (typeof made === 'string') notice.value = { text: made };
    else attached.value = [...attached.value, made];
  }
}

/** @param {Attachment} attachment */
export function detach(attachment) {
  attached.value = attached.value.filter((each) => each !== attachment);
}

export function detachAll() {
  attached.value = [];
}

/** The message with the text files behind it, and its pictures. @param {string} content */
export function withTexts(content) {
  const files = attached.value.flatMap((each) => ('text' in each ? [fenced(each)] : []));
  const images = attached.value.flatMap((each) => ('image' in each ? [each.image] : []));
  const all = [content, ...files].filter(Boolean).join('\n\n');
  // Every message has a text.
  return { content: all || (images.length > 0 ? '🖼' : ''), ...(images.length > 0 && { images }) };
}

/** Why the chosen model cannot take what is attached, as far as its server says so; else undefined. */
export function lackOf() {
  if (!attached.value.some((each) => 'image' in each)) return undefined;
  const { agent, model } = choice.value;
  const status = agents.value?.find(({ name }) => name === agent);
  const details = status?.modelDetails?.find(({ name }) => name === model);
  if (!details?.capabilities || details.capabilities.includes('vision')) return undefined;
  return words.doesNotSee(details.name);
}

/** @param {File} file @returns {Promise<Attachment | string>} why not, as text */
async function attachmentOf(file) {
  const { name, size, type } = file;
  if (pictures.test(type)) return { name, size, image: await scaled(file) };
  if (!texts.test(type) && !textNames.test(name)) return words.cannotAttach(name);
  if (size > 4 * maxTextChars) return words.fileTooLong(name);
  const text = await file.text();
  if (text.includes('\0')) return words.cannotAttach(name);
  return text.length > maxTextChars ? words.fileTooLong(name) : { name, size, text };
}

/** A picture as a data URL, no larger than models use it. @param {File} file */
async function scaled(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, maxSidePx / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return file.type === 'image/png' && scale === 1
    ? canvas.toDataURL('image/png')
    : canvas.toDataURL('image/jpeg', quality);
}

/** A text file as a block of code with its name. @param {{ name: string, text: string }} file */
function fenced({ name, text }) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const language = /\.(\w{1,10})$/.exec(name)?.[1] ?? '';
  return `${name}\n${fence}${language}\n${text.replace(/\n$/, '')}\n${fence}`;
}
