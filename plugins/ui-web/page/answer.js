import { useEffect, useLayoutEffect, useMemo } from 'preact/hooks';
import { announce } from './announcer.js';
import { copyFrom } from './clipboard.js';
import { html } from './html.js';
import { Island } from './island.js';
import { LiveAnswer } from './live-answer.js';
import { inPlainWords } from './plain-words.js';
import { scroller } from './scroller.js';
import { agents, isOver, runHere } from './state.js';
import { replace, send } from './turns.js';
import { words } from './words.js';

/** @typedef {import('./conversations.js').Message} Message */

/** An answer, complete or in progress. @param {{ message: Message, question: Message | undefined, all: readonly Message[], run: import('./run.js').Run | undefined }} properties */
export function Answer({ message, question, all, run }) {
  const live = useMemo(() => new LiveAnswer(message, run), []);
  useEffect(() => () => live.leave(), []);
  useLayoutEffect(() => scroller.grew());
  const { agent, thinking } = message;
  const isThought = live.hasText.value || (live.isOver.value && thinking);
  return html`<article class="answer" aria-busy=${live.isBusy.value ? 'true' : undefined}>
    <h2 class="unseen">${live.isOver.value && agent ? words.answerBy(agent) : words.answer}</h2>
    <details class="thinking" hidden=${!live.thinks.value}>
      <summary>${isThought ? words.thoughts : words.thinking}</summary>
      <${Island} of=${live.thoughts} />
    </details>
    <${Island} of=${live.parts} />
    <p class="state" hidden=${live.state.value === ''}>${live.state.value}</p>
    ${live.isOver.value && html`<${Foot} ...${{ message, question, all }} />`}
  </article>`;
}

/** The end of an answer: how it went, and what can be done now. @param {{ message: Message, question: Message | undefined, all: readonly Message[] }} properties */
function Foot({ message, question, all }) {
  const { content, agent, error, stopped, cut, note: figures } = message;
  const isDemo = agents.value?.find(({ name }) => name === agent)?.demo;
  const note = [agent, isDemo && words.demo, figures, stopped && words.stopped].filter(Boolean).join(' · ');
  const mayAsk = message === all.at(-1) && !runHere.value && !isOver.value && question !== undefined;
  const again = () => question && void replace(question);
  const copy = async (/** @type {{ currentTarget: HTMLButtonElement }} */ { currentTarget }) =>
    announce(await copyFrom(currentTarget, content));
  return html`${
    error &&
    html`<div class="failure">
        <p>${inPlainWords(error)}</p>
        ${question && html`<button type="button" onClick=${again}>${words.tryAgain}</button>`}
      </div>`
  }
    <footer>
      <span class="note">${note}</span>
      ${content && html`<button type="button" class="quiet" aria-label=${words.copyAnswer} onClick=${copy}>${words.copy}</button>`}
      ${mayAsk && !error && html`<button type="button" class="quiet" onClick=${again}>${words.askAgain}</button>`}
      ${
        mayAsk &&
        (stopped || cut) &&
        content &&
        html`<button type="button" class="quiet" onClick=${() => send({ content: words.goOnQuestion })}>${words.goOn}</button>`
      }
    </footer>`;
}
