import { Blocks, openFence } from './blocks.js';
import { element } from './elements.js';
import { render } from './markdown.js';

/** How many times longer than it took it waits before it looks at the text and renders the open block again. */
const restFactor = 4;

/** Markdown that grows on the page. Settled blocks stay as they are; only the open one is rendered again. */
export class LiveMarkdown {
  element = element('div', { className: 'markdown' });
  source = '';
  #blocks = new Blocks();
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

  /** The text is whole now. */
  finish() {
    clearTimeout(this.#later);
    this.#take();
    this.#open.remove();
    this.#settle(this.#blocks.open);
    // A reference may be defined below its use, and odd nestings mean something else by themselves.
    const whole = element('div', { className: 'markdown' });
    whole.append(render(this.source));
    if (!isAlike(this.element, whole)) this.element.replaceChildren(...whole.childNodes);
  }

  /** @param {string} block */
  #settle(block) {
    const fragment = render(block);
    const elements = /** @type {HTMLElement[]} */ ([...fragment.children]);
    if (this.#open.parentElement) this.#open.before(fragment);
    else this.element.append(fragment);
    if (elements.length > 0) this.#watcher.settled(elements);
  }

  /** Looks at what has come since the last time. */
  #take() {
    const settled = this.#blocks.push(this.#fresh);
    this.#fresh = '';
    if (settled.length === 0) return;
    this.#code = undefined;
    this.#open.replaceChildren();
    for (const block of settled) this.#settle(block);
  }

  #render() {
    clearTimeout(this.#later);
    this.#later = undefined;
    const startedAt = performance.now();
    this.#take();
    const { open } = this.#blocks;
    if (this.#code && openFence(open)) {
      this.#code.text.appendData(open.slice(this.#code.shown));
      this.#code.shown = open.length;
    } else {
      this.#open.replaceChildren(render(open));
      this.#code = openFence(open) ? codeOf(this.#open, open) : undefined;
    }
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

/** Whether two elements show the same; blank lines between blocks show nowhere. @param {HTMLElement} a @param {HTMLElement} b */
function isAlike(a, b) {
  return (
    a.children.length === b.children.length &&
    [...a.children].every((each, index) => each.isEqualNode(b.children[index] ?? null))
  );
}
