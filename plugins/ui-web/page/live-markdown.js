import { Blocks, openFence } from './blocks.js';
import { maxBlocks, timeFor } from './bounded-lexer.js';
import { colourCode } from './code-colours.js';
import { element } from './elements.js';
import { showFormulas } from './formulas.js';
import { render } from './markdown.js';

/** How many times longer than it took it waits before it looks at the text and renders the open block again. */
const restFactor = 4;

/** Markdown that grows on the page. Settled blocks stay as they are; only the open one is rendered again. */
export class LiveMarkdown {
  element = element('div', { className: 'markdown' });
  source = '';
  #blocks = new Blocks();
  /** The HTML of all settled blocks. */
  #settled = '';
  /** What has come since it was rendered last. */
  #fresh = '';
  #open = element('div', { className: 'open' });
  /** The text of an open block of code, and how much of the source it shows. @type {{ text: Text, shown: number } | undefined} */
  #code;
  #restsUntil = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #later;
  #watcher;

  /**
   * `settled` is told of each block when it has come to its end, `late` of what shows only some time after its `append`.
   * @param {{ settled: (block: HTMLElement[]) => void, late: () => void }} watcher
   */
  constructor(watcher) {
    this.#watcher = watcher;
    this.element.append(this.#open);
  }

  /** Once a frame is enough. @param {string} text */
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

  /** The text is whole now. Text of which nothing is shown yet may come with it. */
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
    // A reference may be defined below its use, and odd nestings mean something else by themselves.
    const whole = render([this.source], timeFor(this.source.length), this.#settled);
    // What took too long as a whole is better in its blocks.
    if (before && (whole.html === this.#settled || !whole.isWhole)) return;
    this.element.replaceChildren(whole.elements);
    this.#decorate(this.element);
  }

  /** When what has not settled is to be rendered; with very many blocks on the page it stays plain. */
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

  /** Looks at what has come since the last time. @param {number} until */
  #take(until) {
    const settled = this.#blocks.push(this.#fresh, until);
    this.#fresh = '';
    if (settled.length === 0) return;
    this.#code = undefined;
    this.#open.replaceChildren();
    this.#settle(settled, until);
  }

  /** What is loaded only where it is needed comes a little later. @param {HTMLElement} settled */
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
    // So is the time that the browser takes to lay it out.
    this.element.getBoundingClientRect();
    // However long the block and slow the machine, most of the time stays for other things.
    this.#restsUntil = performance.now() + restFactor * (performance.now() - startedAt);
  }
}

/** Takes over a block of code that was just rendered, so that more of it is only appended. @param {HTMLElement} parent @param {string} source */
function codeOf(parent, source) {
  const code = parent.querySelector('pre > code');
  if (!code) return undefined;
  const text = document.createTextNode(source.slice(source.indexOf('\n') + 1));
  code.replaceChildren(text);
  return { text, shown: source.length };
}
