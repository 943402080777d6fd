import DOMPurify from 'dompurify';
import { Chores } from './chores.js';

const maxKnown = 500;
const maxDepth = 40;
/** @type {import('katex').KatexOptions} */
const options = {
  // MathML needs no styles or fonts.
  output: 'mathml',
  throwOnError: true,
  strict: false,
  // Links, images and styles.
  trust: ({ command }) => {
    throw new Error(`${command} is not allowed`);
  },
  maxExpand: 300,
  maxSize: 10,
};
// Without colours, styles and links: a formula looks like the surrounding text.
const allowed = {
  ALLOWED_TAGS: [
    ...['math', 'semantics', 'annotation', 'mrow', 'mi', 'mn', 'mo', 'mtext', 'mspace', 'mfrac', 'msqrt'],
    ...[
      'mroot',
      'msub',
      'msup',
      'msubsup',
      'munder',
      'mover',
      'munderover',
      'mtable',
      'mtr',
      'mtd',
      'mstyle',
    ],
    ...['mpadded', 'mphantom', 'menclose', 'mlabeledtr', 'span'],
  ],
  ALLOWED_ATTR: [
    ...['xmlns', 'display', 'mathvariant', 'displaystyle', 'scriptlevel', 'stretchy', 'fence', 'separator'],
    ...['lspace', 'rspace', 'minsize', 'maxsize', 'largeop', 'movablelimits', 'symmetric', 'accent', 'form'],
    ...[
      'accentunder',
      'linethickness',
      'width',
      'height',
      'depth',
      'voffset',
      'columnalign',
      'columnspacing',
    ],
    ...['rowspacing', 'columnlines', 'rowlines', 'frame', 'notation', 'encoding', 'class'],
  ],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
};

/** @type {typeof import('katex').default | undefined} */
let katex;
/** Rendered formulas by source; undefined for invalid ones. @type {Map<string, DocumentFragment | undefined>} */
const known = new Map();
const chores = new Chores(async () => {
  katex ??= (await import('katex')).default;
});

/**
 * Renders the formulas in an element: at once if they are cached, else shortly after. Invalid ones show their source.
 * @param {HTMLElement} root
 * @param {() => void} late called after a later render
 */
export function showFormulas(root, late) {
  for (const formula of root.querySelectorAll('.formula')) {
    const source = formula.textContent ?? '';
    if (known.has(source)) show(formula, known.get(source));
    else
      chores.add(() => {
        // The open block was rendered again meanwhile.
        if (!formula.isConnected) return;
        if (!known.has(source)) keep(source, made(source));
        show(formula, known.get(source));
        late();
      });
  }
}

/** @param {Element} formula @param {DocumentFragment | undefined} look */
function show(formula, look) {
  if (look) formula.replaceChildren(look.cloneNode(true));
}

/** @param {string} source @param {DocumentFragment | undefined} look */
function keep(source, look) {
  known.set(source, look);
  for (const oldest of known.keys()) {
    if (known.size <= maxKnown) return;
    known.delete(oldest);
  }
}

/** @param {string} source */
function made(source) {
  const displayMode = /^(?:\$\$|\\\[)/.test(source);
  const ends = source.startsWith('$') && !displayMode ? 1 : 2;
  const tex = source.slice(ends, -ends).trim();
  if (!katex || depthOf(tex) > maxDepth) return undefined;
  try {
    const html = katex.renderToString(tex, { ...options, displayMode });
    return /** @type {DocumentFragment} */ (/** @type {unknown} */ (DOMPurify.sanitize(html, allowed)));
  } catch {
    return undefined;
  }
}

/** Nesting depth of groups. @param {string} tex */
function depthOf(tex) {
  let depth = 0;
  let deepest = 0;
  for (const [each] of tex.matchAll(/\\.|[{}]/gs)) {
    if (each === '{') deepest = Math.max(deepest, ++depth);
    else if (each === '}') depth--;
  }
  return deepest;
}
