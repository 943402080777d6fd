// Time between the end of a composition and the key event that ended it, if that comes second.
const sameKeyMs = 100;
// The key code of keys handled by an input method.
const inputMethod = 229;

let ended = Number.NEGATIVE_INFINITY;
let composes = false;
addEventListener(
  'compositionstart',
  () => {
    composes = true;
  },
  true,
);
addEventListener(
  'compositionend',
  ({ timeStamp }) => {
    composes = false;
    ended = timeStamp;
  },
  true,
);
// The key that ended it is released: the next one is a new key.
addEventListener(
  'keyup',
  () => {
    ended = Number.NEGATIVE_INFINITY;
  },
  true,
);

/**
 * Whether a key belongs to an input-method composition, as in Japanese, Chinese and Korean. Browsers report it in several
 * ways, and Safari ends the composition before the key event.
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return (
    composes || event.isComposing || event.keyCode === inputMethod || event.timeStamp - ended < sameKeyMs
  );
}
