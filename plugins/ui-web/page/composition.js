// Between the end of a composition and the key that ended it, where that comes second.
const sameKeyMs = 100;
// The key code of all keys that go to an input method.
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
// The key that ended it has been let go: what comes now is another one.
addEventListener(
  'keyup',
  () => {
    ended = Number.NEGATIVE_INFINITY;
  },
  true,
);

/**
 * Whether a key is part of a word that is being composed, as in Japanese, Chinese and Korean. Browsers tell in several
 * ways, and Safari ends the word before it tells of the key that ended it.
 * @param {KeyboardEvent} event
 */
export function isComposing(event) {
  return (
    composes || event.isComposing || event.keyCode === inputMethod || event.timeStamp - ended < sameKeyMs
  );
}
