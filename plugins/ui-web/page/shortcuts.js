import { isComposing } from './composition.js';

/**
 * Keyboard shortcuts of the page.
 * @param {{ stop: () => boolean, startNew: () => void, toggleSide: () => void, showHelp: () => void, toMessage: () => void, toSearch: () => void }} actions
 */
export function startShortcuts(actions) {
  document.addEventListener('keydown', (event) => {
    if (isComposing(event) || document.querySelector('dialog[open]')) return;
    const control = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    let done = true;
    if (key === 'escape' && event.shiftKey) actions.toMessage();
    else if (key === 'escape') done = actions.stop();
    else if (control && event.shiftKey && key === 'o') actions.startNew();
    else if (control && event.shiftKey && key === 's') actions.toggleSide();
    else if (control && !event.shiftKey && key === 'k') actions.toSearch();
    else if (control && key === '/') actions.showHelp();
    else done = false;
    if (done) event.preventDefault();
  });
}
