const texts = 'p, h3, h4, h5, h6, li, th, td';
const boxes = 'ul, ol, blockquote, table, li:has(> p)';
const letter = /\p{L}/u;
const rightToLeft =
  /^[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;

/**
 * Sets the direction of each block from its own text. Browsers detect it for text, but not for a container whose
 * children have one each.
 * @param {DocumentFragment} fragment
 */
export function direct(fragment) {
  for (const text of fragment.querySelectorAll(texts)) {
    // Numbers in a table follow the direction of the table.
    if (text.matches('th, td') && !letter.test(text.textContent ?? '')) continue;
    text.setAttribute('dir', 'auto');
  }
  for (const box of fragment.querySelectorAll(boxes)) {
    const [first = ''] = letter.exec(box.textContent ?? '') ?? [];
    box.setAttribute('dir', rightToLeft.test(first) ? 'rtl' : 'ltr');
  }
}
