import { Blocks, openFence } from './blocks.js';
import { maxBlocks, timeFor } from './bounded-lexer.js';
import { colourCode } from './code-colours.js';
import { element } from './elements.js';
import { showFormulas } from './formulas.js';
import { render } from './markdown.js';

/** Pause between renders of the open block, as a multiple of the time that one takes. */
const restFactor = 4;

/** Markdown that grows on the page. Settled blocks stay; only the open one is rendered again. */
export class LiveMarkdown {
  element = element('div', { className: 'markdown' });
  source = '';
  #blocks = new Blocks();
  /** HTML of all settled blocks. */
  #settled = '';
  /** Text since the last render. */
  #fresh = '';
  #open = element('div', { className: 'open' });
  /** The text node of an open code block, and the length of the source it shows. @type {{ text: Text, shown: number } | undefined} */
  #code;
  #restsUntil = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  #watcher;

  /**
   * `settled` is called for each complete block, `late` for content that appears some time after its `append`.
   * @param {{ settled: (block: HTMLElement[]) => void, late: () => void }} watcher
   */
  constructor(watcher) {
    this.#watcher = watcher;
    this.element.append(this.#open);
  }

  /** Appends text, shown at most once per frame. @param {string} text */
  append(text) {
    this.source += text;
    this.#fresh += text;
    const waitMs = this.#restsUntil - performance.now();
    if (waitMs <= 0) this.#render();
    else
      this.#later ??= setTimeout(() => {
        this.#render();
        this.#watcher.late();
      }, waitMs);
  }

  /** Completes the text, with a last part that is not shown yet. */
  finish(text = '') {
    clearTimeout(this.#later);
    const before = this.source;
    this.source += text;
    if (before) {
      const until = this.#until();
      this.#take(until);
      this.#open.remove();
      this.#settle([this.#blocks.open], until);
    }
    // References may be defined below their use, and some nestings differ when parsed by block.
    const whole = render([this.source], timeFor(this.source.length), this.#settled);
    // A text that takes too long as a whole stays in its blocks.
    if (before && (whole.html === this.#settled || !whole.isWhole)) return;
    this.element.replaceChildren(whole.elements);
    this.#decorate(this.element);
  }

  /** Schedules a render of the open block, which stays plain if the page has too many blocks. */
  #until() {
    if (this.element.childElementCount > maxBlocks) return 0;
    return timeFor(this.#blocks.open.length + this.#fresh.length);
  }

  /** @param {string[]} blocks @param {number} until */
  #settle(blocks, until) {
    const { html, elements } = render(blocks, until);
    this.#settled += html;
    const added = /** @type {HTMLElement[]} */ ([...elements.children]);
    if (this.#open.parentElement) this.#open.before(elements);
    else this.element.append(elements);
    if (added.length > 0) this.#watcher.settled(added);
    for (const each of added) this.#decorate(each);
  }

  /** Parses the text since the last time. @param {number} until */
  #take(until) {
    const settled = this.#blocks.push(this.#fresh, until);
    this.#fresh = '';
    if (settled.length === 0) return;
    this.#code = undefined;
    this.#open.replaceChildren();
    this.#settle(settled, until);
  }

  /** Renders formulas and code colours, whose libraries are loaded on demand. @param {HTMLElement} settled */
  #decorate(settled) {
    showFormulas(settled, this.#watcher.late);
    colourCode(settled);
  }

  #render() {
    clearTimeout(this.#later);
    this.#later = undefined;
    const startedAt = performance.now();
    const until = this.#until();
    this.#take(until);
    const { open } = this.#blocks;
    if (this.#code && openFence(open)) {
      this.#code.text.appendData(open.slice(this.#code.shown));
      this.#code.shown = open.length;
    } else {
      this.#open.replaceChildren(render([open], until).elements);
      showFormulas(this.#open, this.#watcher.late);
      this.#code = openFence(open) ? codeOf(this.#open, open) : undefined;
    }
    // Layout time counts as well.
    this.element.getBoundingClientRect();
    // Most of the time stays free, however long the block and slow the machine.
    this.#restsUntil = performance.now() + restFactor * (performance.now() - startedAt);
  }
}

/** Finds an open code block that was just rendered, so that further text is only appended. @param {HTMLElement} parent @param {string} source */
function codeOf(parent, source) {
  const code = parent.querySelector('pre > code');
  if (!code) return undefined;
  const text = document.createTextNode(source.slice(source.indexOf('\n') + 1));
  code.replaceChildren(text);
  return { text, shown: source.length };
}
